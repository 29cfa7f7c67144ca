/** The code that a person reads from a device's screen. */

const LETTERS = /^[BCDFGHJKLMNPQRSTVWXZ]{8}$/;
/** No vowels and no digits: nothing looks like another. */

const TYPED_MAX = 32;
/** The API reads no more. */

/** Give a code as it is shown, `XXXX-XXXX`; null if what was typed is none. Takes the link, too. */
export function codeOf(typed: string): string | null {
  const text = linked(typed) ?? typed;
  if (text.length > TYPED_MAX) return null;
  const code = text.toUpperCase().replace(/[^\p{L}\p{N}]/gu, "");
  return LETTERS.test(code) ? `${code.slice(0, 4)}-${code.slice(4)}` : null;
}

function linked(typed: string): string | null {
  const text = typed.trim();
  if (!URL.canParse(text)) return null;
  const asked = new URL(text).searchParams;
  return asked.get("code") ?? asked.get("user_code");
}

const NODE = /^[a-zA-Z0-9._-]{1,64}$/;

/** Whether a text can be a node's id. */
export function soundNode(text: string): boolean {
  return NODE.test(text);
}
