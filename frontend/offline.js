// The service worker's registration: a visit after the first one needs no connection.

const CONTROL_MS = 1_000; // that a first visit waits at most, before the engine starts without it

/**
 * Register the service worker. Resolves as soon as the page's requests go through it, so that what
 * the engine fetches is fetched once; or at once where they never will. The result is whether they
 * did from the start: this is not the first visit, and files are likely to be here already.
 */
export async function takeOffline(address, onUpdate) {
  const workers = navigator.serviceWorker; // none without HTTPS, except on this machine
  if (!workers) return false;
  const registered = register(workers, address, onUpdate);
  if (workers.controller) {
    // Another version that takes over has other files than this page.
    workers.addEventListener("controllerchange", () => location.reload(), { once: true });
    return true;
  }
  const controlled = new Promise((resolve) => workers.addEventListener("controllerchange", resolve, { once: true }));
  const late = new Promise((resolve) => setTimeout(resolve, CONTROL_MS));
  if (await registered) await Promise.race([controlled, late]);
  return false;
}

/** Whether the service worker will take the page over. */
async function register(workers, address, onUpdate) {
  try {
    const registration = await workers.register(address);
    watch(registration, onUpdate);
    return !registration.active; // one that is active already: the visitor has reloaded past it
  } catch {
    return false; // this browser keeps nothing (a private window, a full disk)
  }
}

/** Ask the service worker to keep what it has not seen yet: the page, or the model as well. */
export function keepOffline(withModel) {
  navigator.serviceWorker?.controller?.postMessage({ keep: withModel ? "all" : "page" });
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
