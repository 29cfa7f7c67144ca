/** Commands and links to take along: safe to paste, whatever a node calls itself. */

const PLAIN = /^[a-zA-Z0-9._/:=@%+,-]+$/;
const NODE_ID = /^[a-zA-Z0-9._-]{1,64}$/;
const OBJECT_NAME_MAX = 63;
const WEB = /^https?:$/;

/** Quote a word for a POSIX shell. */
export function shellQuote(word: string): string {
  if (PLAIN.test(word) && !word.startsWith("-")) return word;
  // Line feeds and other controls would run on their own in some terminals, quoted or not.
  const printable = Array.from(word, (sign) => (isControl(sign) ? "?" : sign)).join("");
  return `'${printable.replaceAll("'", `'\\''`)}'`;
}

function isControl(sign: string): boolean {
  const code = sign.codePointAt(0) ?? 0;
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0x2028 || code === 0x2029;
}

/**
 * The name of a node's object, where it is the id itself; null where a hash follows it, which
 * only the cluster's side makes.
 */
export function objectName(id: string): string | null {
  if (!NODE_ID.test(id) || id.length > OBJECT_NAME_MAX || id !== id.toLowerCase()) return null;
  if (id.includes("_")) return null;
  const parts = id.split(".");
  const plain = parts.every((part) => part !== "" && !part.startsWith("-") && !part.endsWith("-"));
  return plain ? id : null;
}

/** What shows the node on a command line. */
export function kubectlCommand(id: string): string {
  const name = objectName(id);
  return name === null
    ? `kubectl fabric describe ${shellQuote(id)}`
    : `kubectl get fabricnode ${name} -o yaml`;
}

/**
 * The same answer over HTTP. Details are for people: the secret of a session goes in as its cookie,
 * and stays in the shell's own variable.
 */
export function curlCommand(id: string, origin: string): string {
  const url = `${origin}/api/fabric/nodes/${encodeURIComponent(id)}`;
  const cookie = origin.startsWith("https:") ? "__Host-citadel_session" : "citadel_session";
  return `curl -sS -b "${cookie}=$CITADEL_API_TOKEN" ${shellQuote(url)}`;
}

/** The node's own board; null unless it is a web address, whatever the settings say. */
export function grafanaLink(template: string | null | undefined, id: string): string | null {
  if (!template) return null;
  const address = template.replaceAll("{node}", encodeURIComponent(id));
  try {
    const url = new URL(address);
    return WEB.test(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/** A file name for what a node said: nothing of it leads out of the folder. */
export function fileName(id: string): string {
  const safe = id.replace(/[^a-zA-Z0-9._-]/g, "_").replace(/^\.+/, "_");
  return `${safe.slice(0, 80) || "node"}.json`;
}
