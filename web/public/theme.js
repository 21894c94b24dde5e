// A classic script before the first paint, so that nobody who works in the dark is flashed at. The policy allows none inline.
(function () {
  var wish = null
  try { wish = JSON.parse(localStorage.getItem('vidprocme.prefs') || '{}').theme } catch (e) { /* storage is closed: the system's theme */ }
  var dark = wish === 'dark' || (wish !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.dataset.theme = dark ? 'dark' : 'light'
})()
