//! An answer serves those who asked before it was sent, and nobody else.

use std::sync::atomic::AtomicUsize;

use tokio::sync::{Semaphore, oneshot};

use super::*;

#[tokio::test]
async fn those_who_asked_before_it_was_sent_share_one_request() {
    let coalescer = Coalescer::<&str, usize>::new();
    let requests = Arc::new(AtomicUsize::new(0));
    let slot = Arc::new(Semaphore::new(0));

    let ask = || {
        let (requests, slot) = (Arc::clone(&requests), Arc::clone(&slot));
        coalescer.ask("app main", move |departure| async move {
            let _permit = slot.acquire().await;
            departure.sent();
            requests.fetch_add(1, Ordering::SeqCst)
        })
    };
    let asked = futures::future::join_all((0..100).map(|_| ask()));
    let (answers, ()) = futures::join!(asked, async { slot.add_permits(1) });

    assert_eq!(requests.load(Ordering::SeqCst), 1);
    assert_eq!(answers.iter().filter(|(_, share)| *share == Share::Own).count(), 1);
}

#[tokio::test]
async fn who_asks_behind_a_request_in_flight_gets_the_next_answer() {
    let coalescer = Arc::new(Coalescer::<&str, &str>::new());
    let (answer, answered) = oneshot::channel::<&str>();
    let (left, has_left) = oneshot::channel();

    let first = coalescer.ask("app main", move |departure| async move {
        departure.sent();
        left.send(()).unwrap();
        answered.await.unwrap()
    });
    let late = async {
        has_left.await.unwrap();
        // The push lands here, behind the request in flight.
        let second = coalescer.ask("app main", |departure| async move {
            departure.sent();
            "new commit"
        });
        let third = coalescer.ask("app main", |departure| async move {
            departure.sent();
            "never asked"
        });
        let (second, third, ()) =
            futures::join!(second, third, async { answer.send("old commit").unwrap() });
        assert_eq!(second, ("new commit", Share::Own));
        assert_eq!(third, ("new commit", Share::Joined));
    };

    let (first, ()) = futures::join!(first, late);
    assert_eq!(first, ("old commit", Share::Own));
}

#[tokio::test]
async fn an_answer_is_not_kept_for_later() {
    let coalescer = Coalescer::<&str, usize>::new();
    for expected in 0..3 {
        let (answer, _) = coalescer
            .ask("app main", move |departure| async move {
                departure.sent();
                expected
            })
            .await;
        assert_eq!(answer, expected);
    }
    assert!(coalescer.newest.lock().unwrap().is_empty());
}
