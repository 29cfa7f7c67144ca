/** Places in the org's stream: `ms-seq`. */

const FORM = /^[0-9]{1,20}-[0-9]{1,20}$/;

/** Give the text if it is such a place, else null. */
export function positionOf(text: string | null | undefined): string | null {
  return text && FORM.test(text) ? text : null;
}
