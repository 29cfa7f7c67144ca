/** The secret in what somebody pastes: a login link, or what stands in it. */

const TOKEN = /\bcl_[A-Za-z0-9_-]{8,250}/;

/** Give the token; null where there is none. */
export function loginToken(pasted: string): string | null {
  return TOKEN.exec(pasted)?.[0] ?? null;
}
