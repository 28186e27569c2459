"""The archive: merging of arriving bars, their audit, revisions, generations, and the datasets as views."""
