// The admin port's door.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { isToken, useToken, wasRefused } from "./daemon";
import { Heading } from "./parts";
import { t } from "./texts";

export function TokenForm(): JSX.Element {
  const [isBad, setBad] = useState(false);
  const texts = t().token;
  const fault = isBad ? texts.form : wasRefused.value ? texts.wrong : undefined;
  return (
    <form
      class="card stack door"
      onSubmit={(event) => {
        event.preventDefault();
        const given = new FormData(event.currentTarget).get("token");
        const text = typeof given === "string" ? given.trim() : "";
        setBad(!isToken(text));
        if (isToken(text)) useToken(text);
      }}
    >
      <Heading>{texts.title}</Heading>
      <p id="token-how">{texts.how}</p>
      <div>
        <label for="token">{texts.label}</label>
        <input id="token" name="token" type="password" autocomplete="off" spellcheck={false} maxLength={200} aria-describedby={fault === undefined ? "token-how" : "token-how token-bad"} aria-invalid={fault !== undefined} />
        {fault === undefined ? null : <p id="token-bad" class="field-error" role="alert">{fault}</p>}
      </div>
      <button type="submit" class="primary">{texts.send}</button>
    </form>
  );
}
