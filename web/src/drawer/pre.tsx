/** A text as it was laid out, in a box that scrolls: by keys, too. */

export function Pre({ text, label, testid }: { text: string; label: string; testid?: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
    <section class="raw-text" tabIndex={0} aria-label={label}>
      <pre class="said" data-testid={testid}>
        {text}
      </pre>
    </section>
  );
}
