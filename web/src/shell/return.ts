/** Where somebody was who had to sign in elsewhere: the API leads back to `/` alone. */

import { go, place, placeOf } from "../url";

const KEY = "citadel-return";

/** Keep the address for this tab of the browser. */
export function rememberPlace(): void {
  try {
    sessionStorage.setItem(KEY, location.pathname + location.search);
  } catch {
    // Forbidden storage: one begins at the list.
  }
}

/** Go on where one was, if one comes from signing in. */
export function returnToPlace(): void {
  const kept = takeKept();
  if (!kept?.startsWith("/") || location.pathname !== "/" || location.search) return;
  const url = new URL(kept, location.origin);
  if (url.origin === location.origin) go({ ...place.peek(), ...placeOf(url) }, "replace");
}

function takeKept(): string | null {
  try {
    const kept = sessionStorage.getItem(KEY);
    sessionStorage.removeItem(KEY);
    return kept;
  } catch {
    return null;
  }
}
