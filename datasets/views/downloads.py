"""Downloads: the formats that the pages offer, and files of several datasets as one download."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from django.db.models import QuerySet
from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase

from datasets import catalog
from datasets.errors import DatasetsError, InvalidRequest
from datasets.formats import FORMATS
from datasets.models import Dataset

# Name and label of each format with a link. Formats that contain bars alone come before JSON.
FORMAT_LINKS = [
    (row.name, row.label)
    for row in sorted(FORMATS.values(), key=lambda row: row.has_envelope)
    if row.label
]
# The archive is built in memory.
MAX_BYTES = 200 * 1024 * 1024
_LEFT_OUT = "LEFT-OUT.txt"


@dataclass(slots=True)
class Download:
    """The files of the chosen datasets, and a sentence for each dataset that has no readable file."""

    datasets: list[Dataset] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, chosen: QuerySet[Dataset]) -> Self:
        """Check the file of each chosen dataset against its hash, and return the download.

        Raises `InvalidRequest` when no dataset has a file, or when the files are larger than
        `MAX_BYTES` together.
        """
        ready = [dataset for dataset in chosen if dataset.state == Dataset.State.READY]
        if sum(dataset.bytes for dataset in ready) > MAX_BYTES:
            raise InvalidRequest(
                {
                    "datasets": [
                        "These files are larger than 200 MB together. Choose fewer datasets, or use `manage.py datasets export`."
                    ]
                }
            )
        download = cls(
            left_out=[
                f"{dataset} is left out: it is {dataset.state}."
                for dataset in chosen
                if dataset.state != Dataset.State.READY
            ]
        )
        for dataset in ready:
            try:
                path = catalog.path_to_read(dataset)
            except DatasetsError as error:
                download.left_out.append(f"{dataset} is left out: {error}")
            else:
                download.datasets.append(dataset)
                download.paths.append(path)
        if not download.datasets:
            sentences = download.left_out or ["Choose at least one dataset."]
            raise InvalidRequest({"datasets": sentences})
        return download

    def response(self) -> HttpResponseBase:
        """Return the reply: a single file as it is, else a zip archive that also names what is left out."""
        if len(self.paths) == 1 and not self.left_out:
            name = Path(self.datasets[0].path).name
            return FileResponse(self.paths[0].open("rb"), as_attachment=True, filename=name)
        archive = io.BytesIO()
        is_mixed = len({dataset.source for dataset in self.datasets}) > 1
        with zipfile.ZipFile(archive, "w") as file:
            for dataset, path in zip(self.datasets, self.paths, strict=True):
                # Files of the sample feed and of TradingView have equal names; their folders differ.
                file.write(path, dataset.path if is_mixed else Path(dataset.path).name)
            if self.left_out:
                file.writestr(_LEFT_OUT, "\n".join([*self.left_out, ""]))
        return HttpResponse(
            archive.getvalue(),
            content_type="application/zip",
            headers={"Content-Disposition": 'attachment; filename="datasets.zip"'},
        )
