//! German. Texts keep to characters of GSM 03.38's basic set, which has the umlauts.

use otp_core::{contact::Channel, store::ChangeKind};
use time::{Month, OffsetDateTime};

use super::{ChangePhrases, CodePhrases, ConfirmationPhrases, Names, Phrases, SmsPhrases};
use crate::mail::plain::Style;

pub(super) static PHRASES: Phrases = Phrases {
    tag: "de",
    moment,
    unknown_moment: "zu unbekannter Zeit",
    channel: |channel| match channel {
        Channel::Email => "E-Mail",
        Channel::Sms => "SMS",
        Channel::Webhook => "Webhook",
        Channel::Inapp => "In-App",
    },
    style: Style { thousands: ' ', in_all: |count| format!("({count} Zeichen insgesamt)") },
    names: Names {
        action: "Aktion",
        contract: "Vertrag",
        wallet: "Wallet",
        contact: "Kontakt",
        and: "und",
        more_fields: |count| format!("{count} weitere Felder, für die diese Nachricht keinen Platz hat"),
        sign_in: ("Anmeldung", "bei"),
        blind: ("Eine Aktion, die nicht gezeigt werden kann", "Aktion"),
    },
    if_not_you: "Wenn Sie das nicht waren",
    never_asked: "Niemand wird Sie je nach diesen Ziffern fragen.",
    valid_until: |moment| format!("Sie gelten bis {moment}."),
    code: CodePhrases {
        title: |purpose| format!("Ihr Code für {purpose}"),
        subject: |purpose, reference| format!("Ihr Einmalcode für {purpose} (Referenz {reference})"),
        reference: |reference| format!("Referenz: {reference}. Die Seite, die nach dem Code fragt, zeigt dieselbe."),
        authorises: "Was er erlaubt",
        expires: |moment| format!("Er gilt bis {moment}."),
        how: "So verwenden Sie ihn",
        enter_or_open: "Geben Sie die Ziffern dort ein, wo Sie sie angefordert haben, oder öffnen Sie diesen Link, der den \
                        ganzen Code enthält:",
        open: "Die Seite mit dem ganzen Code öffnen",
        do_not_enter: "Geben Sie den Code nicht ein, und öffnen Sie den Link oben nicht: Wer ihn angefordert hat, besitzt \
                       den Schlüssel Ihres Wallets.",
        open_instead: "Öffnen Sie stattdessen diesen. Er sperrt und widerruft den Code und beendet alle Sitzungen Ihres \
                       Wallets:",
        not_me: "Das war ich nicht",
    },
    confirmation: ConfirmationPhrases {
        title: "Bestätigen Sie diese Adresse",
        subject: "Bestätigen Sie Ihre Adresse für Einmalcodes",
        enter: "Geben Sie die Ziffern dort ein, wo Sie diese Adresse hinzugefügt haben. Einmalcodes für Ihr Wallet kommen \
                dann hierher.",
        valid: |minutes, until| format!("Sie gelten {minutes} Minuten, bis {until}."),
        not_you: "Geben Sie die Ziffern an niemanden weiter: Jemand hat Ihre Adresse aus Versehen angegeben, oder um Sie zu \
                  täuschen.",
    },
    change: ChangePhrases {
        announced: |kind| match kind {
            ChangeKind::Add => "Ein Kontakt soll hinzukommen",
            ChangeKind::Remove => "Ein Kontakt soll entfernt werden",
            ChangeKind::DeleteAccount => "Ihr Konto soll gelöscht werden",
        },
        announced_subject: |title| format!("{title}: Brechen Sie es ab, wenn Sie das nicht waren"),
        takes_effect: |moment| format!("Das geschieht am {moment}, wenn Sie es nicht abbrechen."),
        deletion: "Kontakte und alles, woraus Codes entstehen, werden dann gelöscht. Was auf der Chain steht, bleibt.",
        cancel: "Öffnen Sie diesen Link und drücken Sie dort den Knopf: Nichts ändert sich, und alle Sitzungen Ihres Wallets \
                 enden.",
        cancel_link: "Diese Änderung abbrechen",
        who_asked: "Wer das verlangt hat, besitzt den Schlüssel Ihres Wallets oder hat eine Sitzung übernommen und kann es \
                    wieder verlangen: Bringen Sie, was das Wallet hält, in ein neues.",
        if_you: "Wenn Sie das waren",
        wait_or_enter: "Sie können warten. Oder geben Sie diese Ziffern dort ein, wo Sie die Änderung verlangt haben, und sie \
                        geschieht sofort:",
        digits_title: "Ziffern, die eine Änderung bestätigen",
        digits_subject: "Ziffern, die eine Änderung Ihres Kontos bestätigen",
        enter: "Geben Sie die Ziffern dort ein, wo Sie die Änderung verlangt haben, und sie geschieht sofort.",
        pass_on_nothing: "Geben Sie die Ziffern an niemanden weiter. Die Nachricht, die diese Änderung angekündigt hat, \
                          enthält einen Link, der sie abbricht.",
        without: |moment| format!("Ohne sie geschieht die Änderung am {moment}."),
        done: |kind| match kind {
            ChangeKind::Add => {
                ("Ein Kontakt ist hinzugekommen", "Einmalcodes für Ihr Wallet können von jetzt an dorthin gehen.")
            }
            ChangeKind::Remove => {
                ("Ein Kontakt wurde entfernt", "Einmalcodes für Ihr Wallet gehen nicht mehr dorthin.")
            }
            ChangeKind::DeleteAccount => (
                "Ihr Konto wurde gelöscht",
                "Seine Kontakte und alles, woraus Codes entstehen, werden in den nächsten Stunden gelöscht. Was auf der Chain \
                 steht, bleibt. Wer sich mit dem Wallet wieder anmeldet, beginnt ein neues Konto.",
            ),
        },
        sessions_ended: "Alle anderen Sitzungen des Wallets sind beendet.",
        who_did: "Wer das getan hat, besitzt den Schlüssel Ihres Wallets: Bringen Sie, was das Wallet hält, in ein neues.",
    },
    sms: SmsPhrases {
        code: |digits, purpose, reference, until| {
            format!("Code {digits} für {purpose}, Ref. {reference}, bis {until} UTC.")
        },
        code_warning: "Niemand wird Sie danach fragen.",
        confirmation_long: |digits, until| {
            format!(
                "Code {digits} bestätigt diese Nummer für Einmalcodes, bis {until} UTC. Geben Sie ihn nicht weiter."
            )
        },
        confirmation: |digits| format!("Code {digits} bestätigt diese Nummer."),
        announced: |kind, link| {
            let change = match kind {
                ChangeKind::Add => "Ein Kontakt kommt hinzu.",
                ChangeKind::Remove => "Ein Kontakt entfällt.",
                ChangeKind::DeleteAccount => "Ihr Konto wird gelöscht.",
            };
            format!("{change} Nicht Sie? Abbruch: {link}")
        },
        approve: |digits| format!("Oder erlauben: {digits}"),
        change_digits: |digits, until| format!("Code {digits} erlaubt eine Änderung Ihres Kontos, bis {until} UTC."),
        change_digits_warning: "Nicht Sie? Sagen Sie ihn niemandem.",
        done: |kind| match kind {
            ChangeKind::Add => "Ihr Konto für Einmalcodes hat einen neuen Kontakt.",
            ChangeKind::Remove => "Aus Ihrem Konto für Einmalcodes wurde ein Kontakt entfernt.",
            ChangeKind::DeleteAccount => "Ihr Konto für Einmalcodes wurde gelöscht.",
        },
        done_warning: "Nicht Sie? Bringen Sie, was Ihr Wallet hält, in ein neues.",
        soon: "bald",
    },
};

/// `22. November 2026, 02:31:07 UTC`
fn moment(moment: OffsetDateTime) -> String {
    let month = match moment.month() {
        Month::January => "Januar",
        Month::February => "Februar",
        Month::March => "März",
        Month::April => "April",
        Month::May => "Mai",
        Month::June => "Juni",
        Month::July => "Juli",
        Month::August => "August",
        Month::September => "September",
        Month::October => "Oktober",
        Month::November => "November",
        Month::December => "Dezember",
    };
    let (hour, minute, second) = moment.to_hms();
    format!("{}. {month} {}, {hour:02}:{minute:02}:{second:02} UTC", moment.day(), moment.year())
}
