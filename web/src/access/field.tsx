/** A field with its label, what it means, and what is wrong with what was typed. */

import { useId } from "preact/hooks";

export interface FieldProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
  hint?: string;
  error?: string;
  testid?: string;
  placeholder?: string;
  wide?: boolean;
  code?: boolean;
  required?: boolean;
  maxLength?: number;
  numeric?: boolean;
}

export function Field(props: FieldProps) {
  const { label, value, onInput, hint, error, testid, placeholder, required } = props;
  const id = useId();
  const look = ["field", props.code ? "access-code" : "", props.wide ? "access-wide" : ""];
  return (
    <div class="access-field">
      <label for={id}>{label}</label>
      <input
        id={id}
        class={look.filter(Boolean).join(" ")}
        data-testid={testid}
        type="text"
        inputMode={props.numeric ? "decimal" : undefined}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        placeholder={placeholder}
        required={required}
        maxLength={props.maxLength ?? 200}
        aria-invalid={error ? true : undefined}
        aria-describedby={hint || error ? `${id}-hint` : undefined}
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      {hint || error ? (
        <p id={`${id}-hint`} class={error ? "access-error" : "access-hint"}>
          {error || hint}
        </p>
      ) : null}
    </div>
  );
}
