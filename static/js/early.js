// A classic script in the head: a module script would wait until the browser has read the whole page.
// The browser needs about 50 ms to make its first format: it makes the format while modules are loaded.
import("./firstbars.js").then(() => import("./locale.js"));
