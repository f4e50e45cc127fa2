import "../shared/style.css";
import { render } from "preact";
import { App } from "./app";
import { translator } from "./texts";

const root = document.getElementById("app");
if (root !== null) {
  await translator.start();
  render(<App />, root);
}
