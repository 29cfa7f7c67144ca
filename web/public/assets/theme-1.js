// Before the first paint, so that nobody who chose dark is dazzled. Another content needs another name.
try {
  const theme = localStorage.getItem("citadel-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; then it is as the system has it.
}
