(() => {
  // What a reader chose stays chosen where the browser lets a page keep it.
  let chosen = null;
  try { chosen = localStorage.getItem("stepward-theme"); } catch { chosen = null; }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
