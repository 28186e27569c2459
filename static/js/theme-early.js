// A classic script in the head: it runs before the first paint, so a remembered theme does not flash.
// A page may name a module that does not wait for the whole page, as a script of the page would.
if (document.currentScript.dataset.module) import(document.currentScript.dataset.module);

try {
  const theme = JSON.parse(localStorage.getItem("datasets.theme"));
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is blocked or its content is invalid: the system's theme stays.
}
