//! What `kubectl get` prints: the columns of a kind and the cells of its objects.

mod autoscaling;
mod core;
mod others;
mod pod;
mod text;
mod workloads;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    api::{Target, list::Page, read},
    http::{
        json_path,
        media::{Include, partial},
        table::text::age,
    },
    object,
    registry::Column,
};

/// A column of a built-in kind and how its cell is read from an object.
struct Cell {
    name: &'static str,
    kind: &'static str,
    format: &'static str,
    priority: u8,
    of: fn(&Value, Timestamp) -> Value,
}

impl Cell {
    /// A column of text, which may hold numbers nevertheless.
    const fn text(name: &'static str, of: fn(&Value, Timestamp) -> Value) -> Self {
        Self { name, kind: "string", format: "", priority: 0, of }
    }

    const fn number(name: &'static str, of: fn(&Value, Timestamp) -> Value) -> Self {
        Self { kind: "integer", ..Self::text(name, of) }
    }

    const fn flag(name: &'static str, of: fn(&Value, Timestamp) -> Value) -> Self {
        Self { kind: "boolean", ..Self::text(name, of) }
    }

    /// A column that shows in `-o wide` alone.
    const fn wide(name: &'static str, of: fn(&Value, Timestamp) -> Value) -> Self {
        Self { priority: 1, ..Self::text(name, of) }
    }
}

const NAME: Cell =
    Cell { format: "name", ..Cell::text("Name", |it, _| Value::from(object::name(it))) };

const AGE: Cell = Cell::text("Age", |it, now| age(object::meta(it, "creationTimestamp"), now));

/// What kinds show for which nothing else is known.
const CREATED: Cell = Cell {
    kind: "date",
    ..Cell::text("Created At", |it, _| it["metadata"]["creationTimestamp"].clone())
};

/// What a row shows of an object.
type Cells = Box<dyn Fn(&Value) -> Vec<Value>>;

pub(super) fn of(target: &Target, page: &Page, (now, include): (Timestamp, Include)) -> Value {
    let (definitions, cells): (Vec<Value>, Cells) = if target.resource.is_custom() {
        let columns = target.version().map(|it| it.columns.clone()).unwrap_or_default();
        let columns = if columns.is_empty() { vec![custom_age()] } else { columns };
        let definitions = columns.iter().map(custom_definition);
        let definitions = std::iter::once(definition(&NAME)).chain(definitions).collect();
        let cells = move |it: &Value| {
            let cells = columns.iter().map(|column| custom_cell(column, it, now));
            std::iter::once(object::name(it).into()).chain(cells).collect()
        };
        (definitions, Box::new(cells))
    } else {
        let columns = built_in(&target.resource.table);
        let definitions = columns.iter().map(definition).collect();
        let cells = move |it: &Value| columns.iter().map(|cell| (cell.of)(it, now)).collect();
        (definitions, Box::new(cells))
    };
    let rows: Vec<Value> = page
        .objects
        .iter()
        .map(|stored| {
            let object = match include {
                Include::Nothing => Value::Null,
                Include::Metadata => partial(&stored.value),
                Include::Object => read::present(target, stored),
            };
            let mut row = json!({"cells": cells(&stored.value), "object": object});
            if target.resource.table == "pods" {
                pod::mark_finished(&stored.value, &mut row);
            }
            row
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": page.metadata,
        "columnDefinitions": definitions, "rows": rows,
    })
}

fn definition(cell: &Cell) -> Value {
    json!({
        "name": cell.name, "type": cell.kind, "format": cell.format, "description": "",
        "priority": cell.priority,
    })
}

/// The columns of a kind, the name and the age among them.
fn built_in(table: &str) -> Vec<Cell> {
    let (before, after) = match table {
        "pods" => (pod::COLUMNS, pod::WIDE),
        "events" => return core::events(),
        "horizontalpodautoscalers.autoscaling" => (autoscaling::COLUMNS, [].as_slice()),
        _ => match core::columns(table)
            .or_else(|| workloads::columns(table))
            .or_else(|| others::columns(table))
        {
            Some(columns) => columns,
            None => return vec![NAME, CREATED],
        },
    };
    let copied = |it: &[Cell]| it.iter().map(|it| Cell { ..*it }).collect::<Vec<_>>();
    let mut columns = vec![NAME];
    columns.extend(copied(before));
    columns.push(AGE);
    columns.extend(copied(after));
    columns
}

/// Columns of a kind before its age, and those after.
type Columns = (&'static [Cell], &'static [Cell]);

/// What a custom kind shows that asks for nothing.
fn custom_age() -> Column {
    Column {
        name: "Age".to_owned(),
        kind: "date".to_owned(),
        format: String::new(),
        description: String::new(),
        priority: 0,
        path: ".metadata.creationTimestamp".to_owned(),
    }
}

fn custom_definition(column: &Column) -> Value {
    json!({
        "name": column.name, "type": column.kind, "format": column.format,
        "description": column.description, "priority": column.priority,
    })
}

/// The first value that a column's path finds, in the column's type.
fn custom_cell(column: &Column, object: &Value, now: Timestamp) -> Value {
    let found = json_path::find(object, &column.path);
    let Some(value) = found.first().filter(|it| !it.is_null()) else { return Value::Null };
    match column.kind.as_str() {
        "date" => age(value.as_str().unwrap_or_default(), now),
        "integer" => value.as_i64().map_or(Value::Null, Value::from),
        "number" => value.as_f64().map_or(Value::Null, Value::from),
        "boolean" => value.as_bool().map_or(Value::Null, Value::from),
        _ => match value {
            Value::String(text) => text.as_str().into(),
            other => other.to_string().into(),
        },
    }
}
