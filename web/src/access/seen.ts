/** Whether what is decided can have been seen: no click that was begun elsewhere decides it. */

import { useEffect, useState } from "preact/hooks";

export const SEEN_MS = 1000;
/** Longer than a double click, whose second half may land here when a window above is closed. */

/** True once the page has been in front for a while, with this component in it. */
export function useSeen(): boolean {
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const begin = () => {
      clearTimeout(timer);
      setSeen(false);
      if (document.hasFocus()) timer = setTimeout(() => setSeen(true), SEEN_MS);
    };
    begin();
    addEventListener("focus", begin);
    addEventListener("blur", begin);
    return () => {
      clearTimeout(timer);
      removeEventListener("focus", begin);
      removeEventListener("blur", begin);
    };
  }, []);
  return seen;
}
