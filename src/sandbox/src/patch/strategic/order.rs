//! In which order does a list stand after a strategic merge? What the patch names comes as the patch
//! has it, the rest as it was, each before what it stood before.

use serde_json::Value;

/// Whether two items are one, by the key of their list or by themselves.
pub(super) fn is_same(one: &Value, other: &Value, key: Option<&str>) -> bool {
    match key {
        Some(key) => one[key] == other[key],
        None => one == other,
    }
}

/// Puts merged items into their order.
pub(super) fn settle(items: &mut Vec<Value>, order: &[Value], before: &[Value], key: Option<&str>) {
    let place = |list: &[Value], item: &Value| list.iter().position(|it| is_same(it, item, key));
    let all = std::mem::take(items);
    let (mut named, mut others): (Vec<Value>, Vec<Value>) =
        all.into_iter().partition(|it| place(order, it).is_some());
    named.sort_by_key(|it| place(order, it));
    others.sort_by_key(|it| place(before, it));

    let mut others = others.into_iter().peekable();
    for item in named {
        while let Some(other) = others.peek() {
            let (theirs, ours) = (place(before, other), place(before, &item));
            if !matches!((theirs, ours), (Some(theirs), Some(ours)) if theirs < ours) {
                break;
            }
            items.extend(others.next());
        }
        items.push(item);
    }
    items.extend(others);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_new_comes_as_the_patch_has_it_and_the_rest_keeps_its_place() {
        let cases = [
            (json!(["a", "b", "x"]), json!(["a", "b"]), json!(["x"]), json!(["x", "a", "b"])),
            (json!(["a", "b", "x"]), json!(["a", "b"]), json!(["a", "x"]), json!(["a", "x", "b"])),
            (
                json!(["a", "b", "c"]),
                json!(["a", "b", "c"]),
                json!(["c", "a"]),
                json!(["b", "c", "a"]),
            ),
        ];

        for (merged, before, order, wanted) in cases {
            let list = |it: &Value| it.as_array().unwrap().clone();
            let mut items = list(&merged);
            settle(&mut items, &list(&order), &list(&before), None);

            assert_eq!(Value::from(items), wanted);
        }
    }
}
