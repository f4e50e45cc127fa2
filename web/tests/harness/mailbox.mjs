// What people find in their inboxes: maildev's HTTP interface.

import { until } from './until.mjs';

export class Mailbox {
  constructor(url) {
    this.url = url;
  }

  async of(address) {
    const url = new URL('/email', this.url);
    url.searchParams.set('to.address', address);
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`maildev answers ${answer.status}`);
    return answer.json();
  }

  /** The first mail to an address that is wanted and was not taken before. */
  #taken = new Set();
  take(address, wanted = () => true) {
    return until(`a mail to ${address}`, async () => {
      const mail = (await this.of(address)).find((mail) => !this.#taken.has(mail.id) && wanted(mail));
      if (mail) this.#taken.add(mail.id);
      return mail;
    });
  }

  /** The six digits of the next mail without a link: what confirms a contact. */
  async confirmation(address) {
    return digitsOf(await this.take(address, (mail) => !linkOf(mail)));
  }

  /** Digits, link and reference-bearing text of the next mail with a code. */
  async code(address, wanted = () => true) {
    const mail = await this.take(address, (mail) => linkOf(mail) !== undefined && wanted(mail));
    return { digits: digitsOf(mail), link: linkOf(mail), text: mail.text };
  }
}

export function linkOf(mail) {
  return /https?:\/\/\S+\/verify#v1\.[\w-]+/.exec(mail.text)?.[0];
}

function digitsOf(mail) {
  const found = mail.text.match(/(?<!\d)\d{6}(?!\d)/g) ?? [];
  if (found.length !== 1) throw new Error(`expected one run of six digits in a mail, found ${found.length}`);
  return found[0];
}
