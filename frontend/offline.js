// The service worker's registration: a visit after the first one needs no connection.

const CONTROL_MS = 1_000; // that a first visit waits at most, before the engine starts without it

/**
 * Register the service worker. Resolves as soon as the page's requests go through it, so that what
 * the engine fetches is fetched once; or at once where they never will.
 */
export async function takeOffline(address, onUpdate) {
  const workers = navigator.serviceWorker; // none without HTTPS, except on this machine
  if (!workers) return;
  try {
    // Another version has taken over: this page's files are gone.
    if (workers.controller) workers.addEventListener("controllerchange", () => location.reload(), { once: true });
    const registration = await workers.register(address);
    watch(registration, onUpdate);
    if (workers.controller || registration.active) return; // the latter: reloaded past it
    await new Promise((resolve) => {
      workers.addEventListener("controllerchange", resolve, { once: true });
      setTimeout(resolve, CONTROL_MS);
    });
  } catch {
    // This browser keeps nothing (a private window, a full disk): the page works with a connection.
  }
}

/** Ask the service worker to keep what it has not seen yet. */
export function keepAll() {
  navigator.serviceWorker?.controller?.postMessage({ keep: true });
}

function watch(registration, onUpdate) {
  const wait = (worker) =>
    worker?.addEventListener("statechange", () => {
      if (worker.state === "installed" && registration.active) onUpdate();
    });
  if (registration.waiting) onUpdate();
  wait(registration.installing);
  registration.addEventListener("updatefound", () => wait(registration.installing));
}

/** Go over to the version that waits; all tabs then load it. */
export async function update() {
  const registration = await navigator.serviceWorker.getRegistration();
  registration?.waiting?.postMessage({ takeOver: true });
}
