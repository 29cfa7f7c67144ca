import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name) && !name.endsWith("schema.d.ts"))
    .map((name) => join(folder, name));
}

const texts = filesOf("src/text");
const all = filesOf("src")
  .map((file) => readFileSync(file, "utf8"))
  .join("\n");

test.each(texts)("every word of %s is said somewhere", (file) => {
  const words = [...readFileSync(file, "utf8").matchAll(/^ {2}(\w+):/gm)].map(([, word]) => word);
  const unsaid = words.filter((word) => {
    // By its name, looked up by a name in quotes, or taken apart.
    const said = new RegExp(`\\.${word}\\b|"${word}"|\\{[^}]*\\b${word}\\b[^}]*\\} = `);
    return !said.test(all);
  });
  expect(unsaid).toEqual([]);
});

test("what people read stands in the texts, and not in components", () => {
  const literal =
    /(?:aria-label|title|placeholder|alt)="[^"]|>[^<>{}=;()]*[a-z]{3,}[^<>{}=;()]*<\//i;
  const found = filesOf("src")
    .filter((file) => file.endsWith(".tsx"))
    .filter((file) => literal.test(readFileSync(file, "utf8")));
  expect(found).toEqual([]);
});
