// Whoever uses a keyboard or listens has a place on the page: the focus. Where the element that had it goes, as a button
// that has done its work or a form whose digits were right, the browser drops it at the page's beginning without a word.

/** Gives the focus to the heading of what is left around an element that went with it. */
export function keepFocus(root: HTMLElement): void {
  let last: readonly HTMLElement[] = [];
  root.addEventListener("focusin", ({ target }) => {
    last = target instanceof HTMLElement ? [target, ...around(target)] : [];
  });
  new MutationObserver(() => {
    const [gone, ...rest] = last;
    if (gone === undefined || gone.isConnected || document.activeElement !== document.body) return;
    last = [];
    const left = rest.filter((element) => element.isConnected && root.contains(element));
    const heading = left.map((element) => element.querySelector<HTMLElement>("h1, h2, h3")).find((found) => found !== null);
    if (!heading) return;
    if (!heading.hasAttribute("tabindex")) heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }).observe(root, { childList: true, subtree: true });
}

function around(element: HTMLElement): HTMLElement[] {
  const found: HTMLElement[] = [];
  for (let at = element.parentElement; at !== null; at = at.parentElement) found.push(at);
  return found;
}
