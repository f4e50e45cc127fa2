import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../texts";
import { View } from "../view";
import { AddForm } from "./add-form";
import { Changes } from "./changes";
import { ContactItem } from "./contact-item";
import { book, readBook } from "./contacts";
import { DeleteAccount } from "./delete-account";
import { Secret } from "./secret";
import { useTask } from "./use-task";
import "./contacts.css";

/** Where codes go: the contacts, what waits to be changed of them, and a new one. */
export function ContactsView({ channels }: { readonly channels: readonly string[] }): JSX.Element {
  const [secret, setSecret] = useState<string>();
  const { error, run } = useTask();
  const texts = t().contacts;
  const all = book.value;
  useEffect(() => {
    run(readBook);
  }, []);
  return (
    <View name="contacts" title={texts.title}>
      <p>{texts.text}</p>
      {error !== undefined && (
        <div class="notice bad row apart" role="alert">
          <span>{error}</span>
          <button type="button" onClick={() => {
            run(readBook);
          }}>{texts.reload}</button>
        </div>
      )}
      {secret !== undefined && <Secret secret={secret} onDone={() => {
        setSecret(undefined);
      }} />}
      <section class="card stack" aria-labelledby="yours">
        <h2 id="yours">{texts.yours}</h2>
        {all === undefined && error === undefined && <p role="status">{t().start.loading}</p>}
        {all?.contacts.length === 0 && <p class="muted">{texts.none}</p>}
        {all !== undefined && all.contacts.length > 0 && <ul class="plain-list stack">
          {all.contacts.map((contact) => (
            <ContactItem key={contact.contactId} contact={contact} onProved={(proved) => {
              if (proved.signingSecret !== undefined) setSecret(proved.signingSecret);
            }} />
          ))}
        </ul>}
      </section>
      <Changes changes={all?.changes ?? []} />
      <section class="card stack" aria-labelledby="add">
        <h2 id="add">{texts.add}</h2>
        <AddForm served={channels} />
      </section>
      <DeleteAccount />
    </View>
  );
}
