//! Whether the rules of a part of a schema can be compiled, can know what they ask for, and are cheap enough.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    object,
    refusal::Cause,
    schema::{
        expression::{self, Answer, Known, Past, declared::Decl},
        structural::shown,
    },
};

/// What one expression may cost in one object, and all of a schema together.
const DEAREST: u64 = 10_000_000;
const DEAREST_TOGETHER: u64 = 100_000_000;
/// So many of the dearest are named, if they are worth it.
const NAMED: usize = 4;
const WORTH_NAMING: u64 = DEAREST_TOGETHER / 100;

/// Where rules stand.
pub(super) struct Site<'a> {
    pub(super) path: &'a str,
    /// What keeps it from being known what a value was before.
    pub(super) no_past: Option<&'a str>,
    /// How often values are there in one object at most, if there is a limit.
    pub(super) often: Option<u64>,
}

/// What the rules of a schema cost, each with its path.
pub(super) type Costs = Vec<(String, u64)>;

/// The faults of the rules of a part. What they cost is added to the costs.
pub(super) fn check(schema: &Value, site: &Site<'_>, costs: &mut Costs) -> Vec<Cause> {
    let mut faults = Vec::new();
    let embeds = schema["x-kubernetes-embedded-resource"] == true;
    let is_whole = embeds || site.path.ends_with("openAPIV3Schema");
    let decl = if is_whole { Decl::of_whole } else { Decl::of };
    let decl = decl(schema, "selfType");
    for (index, rule) in object::items(schema, "/x-kubernetes-validations").enumerate() {
        let path = format!("{}.x-kubernetes-validations[{index}]", site.path);
        let mut look =
            Look { rule, decl: decl.as_ref(), often: site.often, costs, faults: &mut faults };
        look.answer(format!("{path}.rule"));
        look.message(format!("{path}.messageExpression"));
        looking_back(rule, (&path, site.no_past), &mut faults);
    }
    faults
}

/// What is wrong with the costs of a whole schema.
pub(super) fn check_costs(mut costs: Costs, path: &str) -> Vec<Cause> {
    let total = costs.iter().fold(0_u64, |sum, it| sum.saturating_add(it.1));
    if total <= DEAREST_TOGETHER {
        return Vec::new();
    }
    costs.retain(|it| it.1 >= WORTH_NAMING);
    costs.sort_by_key(|it| std::cmp::Reverse(it.1));
    let why =
        "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
    let named = costs.into_iter().take(NAMED).map(|it| Cause::forbidden(it.0, why));
    let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
    let whole = Cause::forbidden(path.to_owned(), &too_dear(what, (total, DEAREST_TOGETHER)));
    named.chain([whole]).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a factor, to one digit")]
fn too_dear(what: &str, (cost, limit): (u64, u64)) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = if factor > 100.0 {
        "more than 100x".to_owned()
    } else if factor < 1.5 {
        format!("{factor:.6}x")
    } else {
        format!("{factor:.1}x")
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, \
         maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
}

/// A rule that is looked at.
struct Look<'a> {
    rule: &'a Value,
    /// What its part declares; nothing is known of a part that expressions cannot see.
    decl: Option<&'a Arc<Decl>>,
    often: Option<u64>,
    costs: &'a mut Costs,
    faults: &'a mut Vec<Cause>,
}

impl Look<'_> {
    fn known(&self, source: &str) -> Option<Known> {
        let is_optional = self.rule["optionalOldSelf"] == true;
        let past = if is_optional { Past::Optional } else { Past::Certain };
        expression::look(source, self.decl?, past)
    }

    fn answer(&mut self, path: String) {
        let Some(source) = self.rule["rule"].as_str() else { return };
        if let Some(why) = broken(source) {
            return self.fault(path, &format!("compilation failed: {why}"));
        }
        let Some(known) = self.known(source) else { return };
        if !known.faults.is_empty() {
            self.fault(path, &format!("compilation failed: {}", known.faults.join("\n")));
        } else if matches!(known.answer, Answer::Text | Answer::Other) {
            self.fault(path, "cel expression must evaluate to a bool");
        } else {
            let often = self.often.or_else(|| self.decl.map(|it| it.most_often()));
            let cost = known.cost.saturating_mul(often.unwrap_or(1));
            self.charge(path, ("estimated rule cost", cost));
        }
    }

    /// The expression of a rule's message. It is worked out once for an object.
    fn message(&mut self, path: String) {
        let source = self.rule["messageExpression"].as_str();
        let Some(source) = source.filter(|it| !it.trim().is_empty()) else { return };
        let mut faults: Vec<String> = broken(source).into_iter().collect();
        let known = self.known(source);
        faults.extend(known.iter().flat_map(|it| it.faults.iter().cloned()));
        if !faults.is_empty() {
            let why = format!("messageExpression compilation failed: {}", faults.join("\n"));
            return self.fault(path, &why);
        }
        let Some(known) = known else { return };
        if matches!(known.answer, Answer::YesOrNo | Answer::Other) {
            return self.fault(path, "messageExpression must evaluate to a string");
        }
        self.charge(path, ("estimated messageExpression cost", known.cost));
    }

    fn charge(&mut self, path: String, (what, cost): (&str, u64)) {
        if cost > DEAREST {
            let why = too_dear(what, (cost, DEAREST));
            self.faults.push(Cause::forbidden(path.clone(), &why));
        }
        self.costs.push((path, cost));
    }

    /// The whole rule is shown, whatever is wrong with it.
    fn fault(&mut self, path: String, why: &str) {
        let message = format!("Invalid value: {}: {why}", shown::rule(self.rule));
        self.faults.push(Cause::new("FieldValueInvalid", path, message));
    }
}

/// A rule that speaks of the past stands where there is one.
fn looking_back(rule: &Value, (path, no_past): (&str, Option<&str>), faults: &mut Vec<Cause>) {
    let compiled = kube_cel::compile_schema(&json!({"x-kubernetes-validations": [rule]}));
    let mut rules = compiled.validations.iter().filter_map(|it| it.as_ref().ok());
    let looks_back = rules.any(|it| it.is_transition_rule);
    match no_past.filter(|_| looks_back) {
        Some(at) => {
            let why = format!(
                "oldSelf cannot be used on the uncorrelatable portion of the schema within {at}"
            );
            faults.push(Cause::invalid(format!("{path}.rule"), &rule["rule"], &why));
        }
        None if !looks_back && !rule["optionalOldSelf"].is_null() => {
            let why = "may not be set if oldSelf is not used in rule";
            let path = format!("{path}.optionalOldSelf");
            faults.push(Cause::invalid(path, &rule["optionalOldSelf"], why));
        }
        None => {}
    }
}

/// Why an expression is none.
fn broken(source: &str) -> Option<String> {
    let rule = json!({"x-kubernetes-validations": [{"rule": source}]});
    let compiled = kube_cel::compile_schema(&rule);
    let error = compiled.compilation_errors().first()?.to_string();
    let told = error.find("ERROR: ").and_then(|at| error.get(at..)).unwrap_or(&error);
    Some(told.replace("\n| ", "\n | "))
}
