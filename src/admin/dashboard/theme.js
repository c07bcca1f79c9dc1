// The chosen theme, before anything is painted. The colours themselves are in style.css.
try {
  const theme = localStorage.getItem('tagalong.theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // Storage is forbidden here: the page follows the system.
}
