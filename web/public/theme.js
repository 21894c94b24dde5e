// Before anything is drawn, so that no page flashes in the other theme.
(function () {
  let theme = null;
  try {
    theme = localStorage.getItem("theme");
  } catch {
    // without storage the system's choice holds
  }
  if (theme !== "light" && theme !== "dark") {
    theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
  document.documentElement.dataset.theme = theme;
})();
