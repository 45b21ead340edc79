//! Does the suite notice when a sandbox breaks a rule? Each breakage has a case that must fail then.

use std::env;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::thread;

use kube_sandbox::Breakage;

use crate::ground::{BREAKAGE, is_sandbox};

/// As many sandboxes are broken at the same time.
const AT_ONCE: usize = 3;

/// Each breakage, and a case that does not pass with it.
const CAUGHT: &[(Breakage, &str)] = &[
    (Breakage::StaleLists, "lists::pages_are_of_one_moment"),
    (Breakage::EmptyAnswers, "objects::what_is_not_there_is_not_found"),
    (Breakage::RestartedPages, "lists::pages_are_of_one_moment"),
    (Breakage::DeafLabels, "lists::labels_choose"),
    (Breakage::DeafFields, "lists::fields_choose"),
    (Breakage::LostEvents, "streams::each_change_is_told_once_and_in_order"),
    (Breakage::RepeatedEvents, "streams::each_change_is_told_once_and_in_order"),
    (Breakage::SilentLeaving, "streams::what_leaves_a_selection_is_told"),
    (Breakage::EndlessBeginnings, "streams::what_was_there_is_told_to_its_end"),
    (Breakage::UnsaidGaps, "streams::a_story_has_no_gap"),
    (Breakage::StaleWrites, "objects::a_stale_update_is_refused"),
    (Breakage::VersionsStay, "objects::a_stale_update_is_refused"),
    (Breakage::IdleWrites, "ownership::an_update_that_changes_nothing_owns_nothing"),
    (Breakage::TakenNames, "objects::a_name_is_taken_once"),
    (Breakage::BareNames, "names::a_name_is_made_of_its_prefix"),
    (Breakage::CreatingPuts, "objects::a_put_to_nothing_is_not_found"),
    (Breakage::RealRehearsals, "apply::an_apply_can_be_rehearsed"),
    (Breakage::AnyMetadata, "namespaces::a_namespaces_name_is_a_label"),
    (Breakage::IdleScales, "scale::a_scale_is_written_through_to_its_owner"),
    (Breakage::MutableFields, "pods::hardly_anything_of_a_pod_changes"),
    (Breakage::CountedStatus, "versions::spec_and_status_are_written_apart"),
    (Breakage::OpenStatus, "versions::spec_and_status_are_written_apart"),
    (Breakage::OpenSpec, "versions::spec_and_status_are_written_apart"),
    (Breakage::PrunedOwners, "ownership::an_update_takes_what_it_changes"),
    (Breakage::SilentConflicts, "ownership::a_conflict_names_the_field_and_its_owner"),
    (Breakage::SharedForce, "ownership::force_takes_the_field"),
    (Breakage::ReplacedLists, "strategic::keyed_lists_merge_item_by_item"),
    (Breakage::KeptFields, "ownership::a_field_that_is_given_up_goes"),
    (Breakage::FreeFinalizers, "apply::an_apply_to_what_is_being_deleted_adds_no_finalizer"),
    (Breakage::DeafDeletions, "objects::a_deletion_may_be_for_one_uid_alone"),
    (Breakage::WideDeletions, "deletion::a_selection_can_be_deleted"),
    (Breakage::HastyForeground, "owners::a_foreground_deletion_waits_for_what_blocks"),
    (Breakage::DyingOrphans, "owners::an_orphan_loses_its_reference"),
    (Breakage::LeftBehind, "owners::what_is_owned_goes_after_its_owner"),
    (Breakage::NoGrace, "pods::a_pod_on_a_node_has_its_grace"),
    (Breakage::OpenNamespaces, "namespaces::a_dying_namespace_takes_nothing_new"),
    (Breakage::HollowNamespaces, "objects::a_namespace_takes_what_is_in_it_along"),
    (Breakage::UnknownFields, "pruning::unknown_fields_are_dropped_or_kept"),
    (Breakage::LenientStrictness, "pruning::unknown_fields_are_refused_or_told"),
    (Breakage::NoDefaults, "crds::a_defined_kind_is_served"),
    (Breakage::AnyShape, "schemas::a_value_has_the_type_that_its_schema_says"),
    (Breakage::SilentRules, "rules::a_rule_that_does_not_hold_says_so"),
    (Breakage::OpenDoors, "rbac::who_is_bound_to_nothing_may_do_nothing"),
    (Breakage::FreeGrants, "escalation::nobody_writes_a_role_beyond_their_own"),
    (Breakage::RestlessJobs, "jobs::a_suspended_job_has_no_pods"),
    (Breakage::LastingJobs, "job_ends::a_finished_job_goes_when_its_time_is_over"),
];

/// A suite that passes proves something only if it fails on a sandbox that breaks a rule: its cases run again
/// one by one, each with a breakage that it must catch.
#[test]
fn every_breakage_is_caught_by_its_case() {
    if !is_sandbox() {
        return;
    }
    let mut cases: Vec<&str> = CAUGHT.iter().map(|(_, case)| *case).collect();
    cases.sort_unstable();
    cases.dedup();

    let whole = run(&cases, None);
    let missed = Mutex::new(Vec::new());
    let rows = Mutex::new(CAUGHT.iter());
    let next = || rows.lock().unwrap().next();
    let work = || {
        while let Some((breakage, case)) = next() {
            let output = run(&[case], Some(*breakage));
            if !has_failed(&output) {
                missed.lock().unwrap().push(told(*breakage, case, &output));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });

    let passed = format!("test result: ok. {} passed; 0 failed", cases.len());
    assert!(text(&whole).contains(&passed), "nothing was broken: {}", text(&whole));
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "not caught:\n{}", missed.join("\n"));
}

/// Runs cases of this suite in a process of their own.
fn run(cases: &[&str], breakage: Option<Breakage>) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg("--exact").args(cases).args(["--test-threads", "2"]);
    command.env("RUST_BACKTRACE", "0").env_remove(BREAKAGE);
    command.envs(breakage.map(|it| (BREAKAGE, it.name())));
    command.output().unwrap()
}

/// Whether the case itself has failed, and not the run of it.
fn has_failed(output: &Output) -> bool {
    output.status.code() == Some(101)
        && text(output).contains("test result: FAILED. 0 passed; 1 failed")
}

fn told(breakage: Breakage, case: &str, output: &Output) -> String {
    format!("{} by {case} ({}): {}", breakage.name(), output.status, text(output))
}

fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}
