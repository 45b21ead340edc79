//! Which functions are there, for which types, and what do they give?

use std::{collections::HashMap, sync::LazyLock};

use super::types::Type;

/// One way to call a function.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) is_member: bool,
    /// The target first, if there is one.
    pub(super) takes: Vec<Type>,
    pub(super) gives: Type,
}

/// All ways to call each function, as `target.(arguments) result`; `A` and `B` are any types.
const KNOWN: &[(&str, &str)] = &[
    (
        "_+_",
        "(int,int)int (uint,uint)uint (double,double)double (string,string)string (bytes,bytes)bytes \
             (list(A),list(A))list(A) (duration,duration)duration (timestamp,duration)timestamp \
             (duration,timestamp)timestamp",
    ),
    (
        "_-_",
        "(int,int)int (uint,uint)uint (double,double)double (duration,duration)duration \
             (timestamp,timestamp)duration (timestamp,duration)timestamp",
    ),
    ("_*_", "(int,int)int (uint,uint)uint (double,double)double"),
    ("_/_", "(int,int)int (uint,uint)uint (double,double)double"),
    ("_%_", "(int,int)int (uint,uint)uint"),
    ("-_", "(int)int (double)double"),
    ("!_", "(bool)bool"),
    ("_==_", "(A,A)bool"),
    ("_!=_", "(A,A)bool"),
    ("_&&_", "(bool,bool)bool"),
    ("_||_", "(bool,bool)bool"),
    ("_?_:_", "(bool,A,A)A"),
    (
        "_[_]",
        "(list(A),int)A (map(A,B),A)B (optional(list(A)),int)optional(A) \
              (optional(map(A,B)),A)optional(B)",
    ),
    (
        "_[?_]",
        "(list(A),int)optional(A) (map(A,B),A)optional(B) (optional(list(A)),int)optional(A) \
               (optional(map(A,B)),A)optional(B)",
    ),
    ("@in", "(A,list(A))bool (A,map(A,B))bool"),
    ("@not_strictly_false", "(bool)bool"),
    ("cel.@mapInsert", "(map(A,B),map(A,B))map(A,B) (map(A,B),A,B)map(A,B)"),
    (
        "size",
        "(string)int (bytes)int (list(A))int (map(A,B))int string.()int bytes.()int list(A).()int \
              map(A,B).()int",
    ),
    ("type", "(A)type(A)"),
    ("dyn", "(A)dyn"),
    ("int", "(int)int (uint)int (double)int (string)int (timestamp)int (duration)int"),
    ("uint", "(uint)uint (int)uint (double)uint (string)uint"),
    ("double", "(double)double (int)double (uint)double (string)double"),
    ("bool", "(bool)bool (string)bool"),
    ("bytes", "(bytes)bytes (string)bytes"),
    (
        "string",
        "(string)string (bool)string (int)string (uint)string (double)string (bytes)string \
                (timestamp)string (duration)string (net.IP)string (net.CIDR)string",
    ),
    ("timestamp", "(timestamp)timestamp (string)timestamp (int)timestamp"),
    ("duration", "(duration)duration (string)duration (int)duration"),
    ("contains", "string.(string)bool"),
    ("startsWith", "string.(string)bool"),
    ("endsWith", "string.(string)bool"),
    ("matches", "(string,string)bool string.(string)bool"),
    ("getFullYear", "timestamp.()int timestamp.(string)int"),
    ("getMonth", "timestamp.()int timestamp.(string)int"),
    ("getDate", "timestamp.()int timestamp.(string)int"),
    ("getDayOfMonth", "timestamp.()int timestamp.(string)int"),
    ("getDayOfYear", "timestamp.()int timestamp.(string)int"),
    ("getDayOfWeek", "timestamp.()int timestamp.(string)int"),
    ("getHours", "timestamp.()int timestamp.(string)int duration.()int"),
    ("getMinutes", "timestamp.()int timestamp.(string)int duration.()int"),
    ("getSeconds", "timestamp.()int timestamp.(string)int duration.()int"),
    ("getMilliseconds", "timestamp.()int timestamp.(string)int duration.()int"),
    ("optional.of", "(A)optional(A)"),
    ("optional.ofNonZeroValue", "(A)optional(A)"),
    ("optional.none", "()optional(A)"),
    ("optional.unwrap", "(list(optional(A)))list(A)"),
    ("unwrapOpt", "list(optional(A)).()list(A)"),
    ("value", "optional(A).()A"),
    ("hasValue", "optional(A).()bool"),
    ("or", "optional(A).(optional(A))optional(A)"),
    ("orValue", "optional(A).(A)A"),
    ("charAt", "string.(int)string"),
    ("format", "string.(list(dyn))string"),
    ("join", "list(string).()string list(string).(string)string"),
    ("lowerAscii", "string.()string"),
    ("upperAscii", "string.()string"),
    ("replace", "string.(string,string)string string.(string,string,int)string"),
    ("split", "string.(string)list(string) string.(string,int)list(string)"),
    ("substring", "string.(int)string string.(int,int)string"),
    ("trim", "string.()string"),
    ("strings.quote", "(string)string"),
    ("indexOf", "list(A).(A)int string.(string)int string.(string,int)int"),
    ("lastIndexOf", "list(A).(A)int string.(string)int string.(string,int)int"),
    (
        "isSorted",
        "list(int).()bool list(uint).()bool list(double).()bool list(bool).()bool \
                  list(duration).()bool list(timestamp).()bool list(string).()bool list(bytes).()bool",
    ),
    ("sum", "list(int).()int list(uint).()uint list(double).()double list(duration).()duration"),
    ("min", "list(A).()A"),
    ("max", "list(A).()A"),
    ("find", "string.(string)string"),
    ("findAll", "string.(string)list(string) string.(string,int)list(string)"),
    ("sets.contains", "(list(A),list(A))bool"),
    ("sets.equivalent", "(list(A),list(A))bool"),
    ("sets.intersects", "(list(A),list(A))bool"),
    ("url", "(string)kubernetes.URL"),
    ("isURL", "(string)bool"),
    ("getScheme", "kubernetes.URL.()string"),
    ("getHost", "kubernetes.URL.()string"),
    ("getHostname", "kubernetes.URL.()string"),
    ("getPort", "kubernetes.URL.()string"),
    ("getEscapedPath", "kubernetes.URL.()string"),
    ("getQuery", "kubernetes.URL.()map(string,list(string))"),
    ("quantity", "(string)kubernetes.Quantity"),
    ("isQuantity", "(string)bool"),
    ("isInteger", "kubernetes.Quantity.()bool"),
    ("asInteger", "kubernetes.Quantity.()int"),
    ("asApproximateFloat", "kubernetes.Quantity.()double"),
    ("sign", "kubernetes.Quantity.()int"),
    (
        "add",
        "kubernetes.Quantity.(kubernetes.Quantity)kubernetes.Quantity \
             kubernetes.Quantity.(int)kubernetes.Quantity",
    ),
    (
        "sub",
        "kubernetes.Quantity.(kubernetes.Quantity)kubernetes.Quantity \
             kubernetes.Quantity.(int)kubernetes.Quantity",
    ),
    (
        "isLessThan",
        "kubernetes.Quantity.(kubernetes.Quantity)bool kubernetes.Semver.(kubernetes.Semver)bool",
    ),
    (
        "isGreaterThan",
        "kubernetes.Quantity.(kubernetes.Quantity)bool \
                       kubernetes.Semver.(kubernetes.Semver)bool",
    ),
    (
        "compareTo",
        "kubernetes.Quantity.(kubernetes.Quantity)int kubernetes.Semver.(kubernetes.Semver)int",
    ),
    ("semver", "(string)kubernetes.Semver (string,bool)kubernetes.Semver"),
    ("isSemver", "(string)bool (string,bool)bool"),
    ("major", "kubernetes.Semver.()int"),
    ("minor", "kubernetes.Semver.()int"),
    ("patch", "kubernetes.Semver.()int"),
    ("ip", "(string)net.IP net.CIDR.()net.IP"),
    ("isIP", "(string)bool"),
    ("ip.isCanonical", "(string)bool"),
    ("family", "net.IP.()int"),
    ("isUnspecified", "net.IP.()bool"),
    ("isLoopback", "net.IP.()bool"),
    ("isLinkLocalMulticast", "net.IP.()bool"),
    ("isLinkLocalUnicast", "net.IP.()bool"),
    ("isGlobalUnicast", "net.IP.()bool"),
    ("cidr", "(string)net.CIDR"),
    ("isCIDR", "(string)bool"),
    ("containsIP", "net.CIDR.(net.IP)bool net.CIDR.(string)bool"),
    ("containsCIDR", "net.CIDR.(net.CIDR)bool net.CIDR.(string)bool"),
    ("masked", "net.CIDR.()net.CIDR"),
    ("prefixLength", "net.CIDR.()int"),
    ("format.named", "(string)optional(kubernetes.NamedFormat)"),
    ("validate", "kubernetes.NamedFormat.(string)optional(list(string))"),
];

/// Functions of which no more is known here than that they are there.
const NAMED: [&str; 27] = [
    "authorizer.path",
    "check",
    "allowed",
    "reason",
    "path",
    "group",
    "resource",
    "subresource",
    "namespace",
    "name",
    "serviceAccount",
    "errored",
    "error",
    "fieldSelector",
    "labelSelector",
    "image",
    "isImage",
    "containsDigest",
    "registry",
    "repository",
    "identifier",
    "tag",
    "digest",
    "first",
    "last",
    "reverse",
    "flatten",
];

/// Formats that have a name, each a function without arguments.
const FORMATS: [&str; 12] = [
    "dns1123Label",
    "dns1123Subdomain",
    "dns1035Label",
    "qualifiedName",
    "dns1123LabelPrefix",
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
];

static SIGNATURES: LazyLock<HashMap<&'static str, Vec<Signature>>> = LazyLock::new(|| {
    let read = |text: &'static str| text.split_whitespace().filter_map(signature).collect();
    KNOWN.iter().map(|(name, text)| (*name, read(text))).collect()
});

/// What is known of a function.
#[derive(Debug)]
pub(super) enum Function {
    Known(&'static [Signature]),
    /// It is there, and takes and gives anything.
    Named,
    Unknown,
}

pub(super) fn find(name: &str) -> Function {
    if let Some(signatures) = SIGNATURES.get(name) {
        return Function::Known(signatures);
    }
    let format = name.strip_prefix("format.");
    if NAMED.contains(&name)
        || format.is_some_and(|it| FORMATS.contains(&it) || it == "datetime" || it == "jsonpointer")
        || ORDERS.contains(&name)
    {
        return Function::Named;
    }
    Function::Unknown
}

/// Operators that compare, of any two numbers or of two values of one of these types.
pub(super) const ORDERS: [&str; 4] = ["_<_", "_<=_", "_>_", "_>=_"];

/// Whether a function of a library begins with the name.
pub(super) fn is_library(name: &str) -> bool {
    matches!(
        name,
        "optional" | "strings" | "sets" | "ip" | "format" | "google" | "kubernetes" | "net" | "cel"
    )
}

fn signature(text: &'static str) -> Option<Signature> {
    let open = opening(text)?;
    let (target, rest) = text.split_at(open);
    let close = closing(rest)?;
    let (inside, gives) = (rest.get(1..close)?, rest.get(close + 1..)?);
    let target = target.strip_suffix('.').map(ty);
    let is_member = target.is_some();
    let takes = target.into_iter().chain(parts(inside).into_iter().map(ty)).collect();
    Some(Signature { is_member, takes, gives: ty(gives) })
}

/// Where the arguments begin: at the first parenthesis, or behind the target's dot.
fn opening(text: &str) -> Option<usize> {
    if text.starts_with('(') { Some(0) } else { text.find(".(").map(|it| it + 1) }
}

fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    text.char_indices().find_map(|(at, it)| {
        depth += i32::from(it == '(') - i32::from(it == ')');
        (depth == 0).then_some(at)
    })
}

/// What commas part that are not inside of parentheses.
fn parts(text: &'static str) -> Vec<&'static str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, it) in text.char_indices() {
        depth += i32::from(it == '(') - i32::from(it == ')');
        if it == ',' && depth == 0 {
            parts.extend(text.get(from..at));
            from = at + 1;
        }
    }
    parts.extend(text.get(from..).filter(|it| !it.is_empty()));
    parts
}

fn ty(text: &'static str) -> Type {
    let inner = |name: &str| text.strip_prefix(name)?.strip_suffix(')');
    if let Some(item) = inner("list(") {
        return Type::List(Box::new(ty(item)));
    }
    if let Some(it) = inner("optional(") {
        return Type::Optional(Box::new(ty(it)));
    }
    if let Some(it) = inner("type(") {
        return Type::Kind(Box::new(ty(it)));
    }
    if let Some([key, value]) = inner("map(").map(parts).as_deref() {
        return Type::Map(Box::new(ty(key)), Box::new(ty(value)));
    }
    match text {
        "A" => Type::Any('A'),
        "B" => Type::Any('B'),
        "dyn" => Type::Dyn,
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::Text,
        "bytes" => Type::Bytes,
        "duration" => Type::Duration,
        "timestamp" => Type::Timestamp,
        other => Type::Named(other),
    }
}
