//! A mail server that fails in the midst of a message: the message is taken at least once, and every copy is the same.

use indexer::{config::Config, deliver::Worker, mail::smtp::Postman};
use testbed::faults::{SmtpFault, SmtpServer, Taken};

use crate::harness::{World, follow};

const TIMEOUT_MS: &str = "\ntimeout_ms = 300";

fn worker(world: &World, smtp: &SmtpServer) -> Worker {
    let text = world.config_text("http://127.0.0.1:1", smtp.port).replace("\ntimeout_ms = 3000", TIMEOUT_MS);
    let mail = Config::parse(&text).unwrap().mail;
    let mut worker = world.worker(smtp.port);
    worker.channels.email.postman = Postman::new(&mail, 2).unwrap();
    worker.channels.email.timeout = mail.timeout;
    worker
}

/// What the server took of one code's message, after these faults.
async fn taken_after(world: &World, smtp: &SmtpServer, faults: &[SmtpFault]) -> Vec<Taken> {
    let (person, _) = world.issue_one().await;
    follow(&mut world.tail(&world.chain.url)).await;
    let worker = worker(world, smtp);
    faults.iter().for_each(|fault| smtp.inject(*fault));
    while world.deliveries("queued").await + world.deliveries("sending").await > 0 {
        worker.step().await.unwrap();
    }
    assert_eq!(smtp.left(), 0, "the faults did not happen");
    let taken = smtp.drain();
    assert!(taken.iter().all(|mail| mail.to == person.address));
    taken
}

#[tokio::test]
async fn a_server_that_refuses_greylists_hangs_or_loses_its_answer_gets_one_message_and_its_repeats() {
    let (world, smtp) = (World::new().await, SmtpServer::start().await.unwrap());
    use SmtpFault::{Break, Greylist, Hang, LoseAnswer, Refuse};
    let (mut sent, mut repeats) = (0, 0);
    for (faults, copies) in [
        (&[Refuse, Refuse][..], 1),
        (&[Greylist, Greylist, Greylist], 1),
        (&[Break], 1),
        (&[Hang], 2),
        (&[LoseAnswer, LoseAnswer], 3),
        (&[Greylist, LoseAnswer, Refuse, Hang], 3),
    ] {
        let taken = taken_after(&world, &smtp, faults).await;
        assert_eq!(taken.len(), copies, "{faults:?}");
        assert!(taken.iter().all(|mail| *mail == taken[0]), "two versions of one message after {faults:?}");
        assert!(!taken[0].message_id.is_empty());
        sent += 1;
        repeats += taken.len() - 1;
        assert_eq!(world.deliveries("accepted").await, sent);
    }
    println!(
        "codes on chain {sent} = messages by Message-ID {sent}, lost 0, doubled 0, repeats {repeats} of 5 possible"
    );
    assert_eq!(repeats, 5, "as many as answers were lost");
}

#[tokio::test]
async fn an_address_that_the_server_does_not_know_is_given_up() {
    let (world, smtp) = (World::new().await, SmtpServer::start().await.unwrap());
    let taken = taken_after(&world, &smtp, &[SmtpFault::Reject]).await;
    assert_eq!(taken, []);
    assert_eq!(world.deliveries("failed").await, 1);
}
