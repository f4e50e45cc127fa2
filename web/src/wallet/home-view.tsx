import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import type { Around } from "./code/around";
import { Codes } from "./code/codes";
import { book, readBook } from "./contacts/contacts";
import { useTask } from "./contacts/use-task";
import { t } from "./texts";
import { View } from "./view";

/** Where somebody who is signed in begins. */
export function HomeView({ around }: { readonly around: Around }): JSX.Element {
  const { error, run } = useTask();
  const texts = t().home;
  useEffect(() => {
    run(readBook);
  }, []);
  const contacts = book.value?.contacts;
  const isWaiting = contacts !== undefined && contacts.length > 0 && around.destinations.length === 0;
  return (
    <View name="home" title={texts.title}>
      {error !== undefined && (
        <div class="notice bad row apart" role="alert">
          <span>{error}</span>
          <button type="button" onClick={() => {
            run(readBook);
          }}>{t().contacts.reload}</button>
        </div>
      )}
      {contacts === undefined && error === undefined && <p role="status">{t().start.loading}</p>}
      {contacts !== undefined && (
        <section class="card stack" aria-labelledby="begin">
          <h2 id="begin">{around.destinations.length > 0 ? t().newCode.title : t().contacts.title}</h2>
          {around.destinations.length > 0 ? (
            <>
              <p>{texts.to} {around.destinations.map((to) => to.masked).join(", ")}.</p>
              <div><button type="button" class="primary" onClick={around.openForm}>{t().newCode.title}</button></div>
            </>
          ) : (
            <>
              <p>{isWaiting ? texts.waiting : texts.noContact}</p>
              <div><button type="button" class="primary" onClick={around.openContacts}>{isWaiting ? t().contacts.title : texts.addContact}</button></div>
            </>
          )}
        </section>
      )}
      <section class="card stack" aria-labelledby="latest">
        <h2 id="latest">{texts.codes}</h2>
        <Codes around={around} />
      </section>
    </View>
  );
}
