/** The states that are filtered by: names by commas, in the address. */

/** Give the names, in lower case. */
export function stateNames(asked: string): string[] {
  return asked
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name);
}

/** Add a state to those asked for, or take it away. */
export function toggled(asked: string, state: string): string {
  const names = asked
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name);
  const rest = names.filter((name) => name.toLowerCase() !== state.toLowerCase());
  return (rest.length < names.length ? rest : [...names, state]).join(",");
}
