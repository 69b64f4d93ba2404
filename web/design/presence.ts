/**
 * Is somebody at the page? Requests that a page makes by itself (asking again every few seconds) must not keep a session
 * from locking when nobody is there, so they are marked: `freehold-background: 1`.
 */
const presentForMs = 60_000;
let lastInputMs = Date.now();

for (const type of ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart']) {
  document.addEventListener(
    type,
    () => {
      lastInputMs = Date.now();
    },
    { capture: true, passive: true },
  );
}

export function isSomebodyThere(): boolean {
  return document.visibilityState === 'visible' && Date.now() - lastInputMs < presentForMs;
}
