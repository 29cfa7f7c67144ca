/** A secret, shown this once, until somebody says that it is kept. */

import { useEffect, useRef } from "preact/hooks";
import type { TokenMade } from "../api/types";
import { Copy, Notice, Said } from "../parts";
import { access } from "../text/access";

const text = access.tokens;

export function Secret({ made, onStored }: { made: TokenMade; onStored: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => box.current?.focus(), [made.tokenId]);
  return (
    <div ref={box} class="access-secret" tabIndex={-1}>
      <Notice
        tone="warn"
        title={text.secretTitle}
        actions={
          <button type="button" class="button" data-testid="token-stored" onClick={onStored}>
            {text.stored}
          </button>
        }
      >
        <p>
          <Said text={made.name} max={80} />
        </p>
        <p class="access-token">
          <code data-testid="token-secret">{made.token}</code>
          <Copy text={made.token} label={text.copy} />
        </p>
        <p>{text.secretWarn}</p>
        <p class="section-hint">{text.secretUse}</p>
      </Notice>
    </div>
  );
}
