/** What the visitor chose, kept in the browser; private windows and full disks refuse, and that is well. */

/** Read it; null where there is nothing or no storage. */
export function kept(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Keep it; an empty text keeps nothing. */
export function keep(key: string, text: string): void {
  try {
    if (text) localStorage.setItem(key, text);
    else localStorage.removeItem(key);
  } catch {
    // It holds until the page is left.
  }
}
