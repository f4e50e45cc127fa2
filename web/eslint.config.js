import js from "@eslint/js";
import tseslint from "typescript-eslint";

// What would render a stranger's text as markup, or run it: the policy of the pages forbids it at run time as well.
const SINKS = ["innerHTML", "outerHTML", "insertAdjacentHTML", "dangerouslySetInnerHTML", "srcdoc"].map((name) => ({
  selector: `:matches(Identifier, JSXIdentifier)[name='${name}']`,
  message: "text is rendered as text",
}));

export default tseslint.config(
  { ignores: ["dist", "**/node_modules"] },
  js.configs.recommended,
  {
    files: ["**/*.{ts,tsx}"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      // A handler that answers later is what events are for; its errors are its own to catch.
      "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: { attributes: false } }],
      "@typescript-eslint/consistent-type-definitions": ["error", "interface"],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "no-restricted-syntax": ["error", ...SINKS],
      "no-restricted-globals": ["error", { name: "fetch", message: "shared/http.ts bounds and checks what comes" }],
      "no-eval": "error",
      "no-console": "error",
      eqeqeq: "error",
    },
  },
  {
    files: ["src/shared/http.ts", "tests/**"],
    rules: { "no-restricted-globals": "off" },
  },
  {
    files: ["**/*.test.{ts,tsx}", "tests/**"],
    rules: {
      // node:test's `test` and `describe` give promises that the runner waits for.
      "@typescript-eslint/no-floating-promises": "off",
      "no-restricted-globals": "off",
    },
  },
  {
    // These speak of node and, in what they hand to the browser, of the page: names that are not there fail at once.
    files: ["tests/**/*.mjs"],
    rules: { "no-undef": "off", "no-unused-vars": ["error", { argsIgnorePattern: "^_" }] },
  },
  {
    files: ["*.{js,mjs}"],
    languageOptions: { globals: { console: "readonly", process: "readonly", URL: "readonly" } },
  },
);
