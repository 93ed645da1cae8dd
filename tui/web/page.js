// Keys go to the terminal as soon as it is connected, and again whenever the page is looked at.
"use strict";
function listen() {
  if (document.body?.classList.contains("-loaded")) {
    document.querySelector(".xterm-helper-textarea")?.focus();
    return true;
  }
  return false;
}
new MutationObserver((_, observer) => {
  if (listen()) {
    observer.disconnect();
  }
}).observe(document, { attributes: true, childList: true, subtree: true });
window.addEventListener("focus", listen);
document.addEventListener("click", listen);
