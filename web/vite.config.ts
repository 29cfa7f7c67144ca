import { defineConfig } from "vitest/config";

// What is loaded first: all but the views that are loaded when they are wanted, in one file, which
// packs better than six. The parts that only those views use go with them.
const FIRST = [
  /node_modules\/(preact|@preact)\//,
  /src\/(main\.tsx|units\.ts|url\.ts|style\/|api\/|live\/)/,
  /src\/fleet\/(?!trend|pasts)/,
  /src\/nodes\/(?!cards|columnlist|empty|legend|modellist|spark)/,
  /src\/shell\/(?!account|help|signin|logintoken)/,
  /src\/parts\/(?!dialog|nodelink|table|index)/,
  /src\/text\/(shell|parts|nodes|fleet|live)\.ts/,
];

// Names are hashed, nothing is inlined: the page's policy allows no inline script and no data URL.
export default defineConfig({
  base: "/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../citadel_k8s/api/static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    // The browsers that know light-dark(), of May 2024 and later: what is spelt out for older ones
    // is a kilobyte of the first load.
    target: ["chrome123", "firefox121", "safari17.5"],
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: false,
    rolldownOptions: {
      // A module that nobody uses leaves its styles out, too.
      treeshake: { moduleSideEffects: (id) => id.endsWith(".css") || id.endsWith("main.tsx") },
      output: {
        codeSplitting: {
          groups: [{ name: "page", test: (id) => FIRST.some((part) => part.test(id)) }],
        },
      },
    },
  },
  test: {
    environment: "happy-dom",
    include: ["tests/**/*.test.{ts,tsx}"],
  },
});
