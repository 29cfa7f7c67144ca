/** A view that breaks leaves the rest of the page alone. */

import { Component, type ComponentChildren } from "preact";
import { Notice } from "../parts";
import { shell } from "../text/shell";

interface Props {
  children?: ComponentChildren;
}

interface State {
  error: Error | null;
}

export class Boundary extends Component<Props, State> {
  override state: State = { error: null };

  static override getDerivedStateFromError(error: unknown): State {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <div class="page-notice">
        <Notice
          tone="bad"
          role="alert"
          title={shell.brokenTitle}
          actions={
            <>
              <button type="button" class="button" onClick={() => this.setState({ error: null })}>
                {shell.again}
              </button>
              <button type="button" class="button" onClick={() => location.reload()}>
                {shell.reload}
              </button>
            </>
          }
        >
          <p>{shell.brokenText}</p>
          <p class="page-fault">{error.message.slice(0, 300)}</p>
        </Notice>
      </div>
    );
  }
}
