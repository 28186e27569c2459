// The page of one's own account: the button that copies a new secret.

import { watchCopyButtons } from "./shared/copy.js";

watchCopyButtons();
