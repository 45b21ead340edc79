//! The fields of the kinds that are read from protobuf, by their numbers in Kubernetes' own
//! definitions. Of Pods, what the commands of kubectl write.

use super::{
    BytesMap, Count, Flag, Holds, Integer, Many, Message, Nothing, One, Switch, Text, TextMap,
    Texts, Time,
};

const OWNER: Message = &[
    (1, "kind", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "controller", Flag),
    (7, "blockOwnerDeletion", Flag),
];

const METADATA: Message = &[
    (1, "name", Text),
    (2, "generateName", Text),
    (3, "namespace", Text),
    (5, "uid", Text),
    (6, "resourceVersion", Text),
    (7, "generation", Integer),
    (8, "creationTimestamp", Time),
    (9, "deletionTimestamp", Time),
    (10, "deletionGracePeriodSeconds", Integer),
    (11, "labels", TextMap),
    (12, "annotations", TextMap),
    (13, "ownerReferences", Many(OWNER)),
    (14, "finalizers", Texts),
    (17, "managedFields", Nothing),
];

const OBJECT_REFERENCE: Message = &[
    (1, "kind", Text),
    (2, "namespace", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "resourceVersion", Text),
    (7, "fieldPath", Text),
];

const NAMESPACE: Message = &[
    (1, "metadata", One(METADATA)),
    (2, "spec", One(&[(1, "finalizers", Texts)])),
    (3, "status", One(&[(1, "phase", Text)])),
];

const SECRET: Message = &[
    (1, "metadata", One(METADATA)),
    (2, "data", BytesMap),
    (3, "type", Text),
    (4, "stringData", TextMap),
    (5, "immutable", Flag),
];

const CONFIG_MAP: Message = &[
    (1, "metadata", One(METADATA)),
    (2, "data", TextMap),
    (3, "binaryData", BytesMap),
    (4, "immutable", Flag),
];

const SERVICE_ACCOUNT: Message = &[
    (1, "metadata", One(METADATA)),
    (2, "secrets", Many(OBJECT_REFERENCE)),
    (3, "imagePullSecrets", Many(&[(1, "name", Text)])),
    (4, "automountServiceAccountToken", Flag),
];

const ROLE: Message = &[
    (1, "metadata", One(METADATA)),
    (
        2,
        "rules",
        Many(&[
            (1, "verbs", Texts),
            (2, "apiGroups", Texts),
            (3, "resources", Texts),
            (4, "resourceNames", Texts),
            (5, "nonResourceURLs", Texts),
        ]),
    ),
];

const BINDING: Message = &[
    (1, "metadata", One(METADATA)),
    (
        2,
        "subjects",
        Many(&[
            (1, "kind", Text),
            (2, "apiGroup", Text),
            (3, "name", Text),
            (4, "namespace", Text),
        ]),
    ),
    (3, "roleRef", One(&[(1, "apiGroup", Text), (2, "kind", Text), (3, "name", Text)])),
];

const LEASE: Message = &[
    (1, "metadata", One(METADATA)),
    (
        2,
        "spec",
        One(&[
            (1, "holderIdentity", Text),
            (2, "leaseDurationSeconds", Integer),
            (3, "acquireTime", Time),
            (4, "renewTime", Time),
            (5, "leaseTransitions", Integer),
            (6, "strategy", Text),
            (7, "preferredHolder", Text),
        ]),
    ),
];

const EVENT: Message = &[
    (1, "metadata", One(METADATA)),
    (2, "involvedObject", One(OBJECT_REFERENCE)),
    (3, "reason", Text),
    (4, "message", Text),
    (5, "source", One(&[(1, "component", Text), (2, "host", Text)])),
    (6, "firstTimestamp", Time),
    (7, "lastTimestamp", Time),
    (8, "count", Integer),
    (9, "type", Text),
    (10, "eventTime", Time),
    (11, "series", One(&[(1, "count", Integer), (2, "lastObservedTime", Time)])),
    (12, "action", Text),
    (13, "related", One(OBJECT_REFERENCE)),
    (14, "reportingComponent", Text),
    (15, "reportingInstance", Text),
];

const CONTAINER: Message = &[
    (1, "name", Text),
    (2, "image", Text),
    (3, "command", Texts),
    (4, "args", Texts),
    (5, "workingDir", Text),
    (
        6,
        "ports",
        Many(&[
            (1, "name", Text),
            (2, "hostPort", Count),
            (3, "containerPort", Integer),
            (4, "protocol", Text),
            (5, "hostIP", Text),
        ]),
    ),
    (7, "env", Many(&[(1, "name", Text), (2, "value", Text)])),
    (8, "resources", One(&[])),
    (13, "terminationMessagePath", Text),
    (14, "imagePullPolicy", Text),
    (16, "stdin", Switch),
    (17, "stdinOnce", Switch),
    (18, "tty", Switch),
    (20, "terminationMessagePolicy", Text),
];

const POD_SPEC: Message = &[
    (2, "containers", Many(CONTAINER)),
    (3, "restartPolicy", Text),
    (4, "terminationGracePeriodSeconds", Integer),
    (5, "activeDeadlineSeconds", Integer),
    (6, "dnsPolicy", Text),
    (7, "nodeSelector", TextMap),
    (8, "serviceAccountName", Text),
    (9, "serviceAccount", Text),
    (10, "nodeName", Text),
    (11, "hostNetwork", Switch),
    (12, "hostPID", Switch),
    (13, "hostIPC", Switch),
    (14, "securityContext", One(&[])),
    (15, "imagePullSecrets", Many(&[(1, "name", Text)])),
    (16, "hostname", Text),
    (17, "subdomain", Text),
    (19, "schedulerName", Text),
    (20, "initContainers", Many(CONTAINER)),
    (21, "automountServiceAccountToken", Flag),
    (24, "priorityClassName", Text),
];

const POD: Message = &[
    (1, "metadata", One(METADATA)),
    (2, "spec", One(POD_SPEC)),
    (3, "status", One(&[(1, "phase", Text)])),
];

const TEMPLATE: Message = &[(1, "metadata", One(METADATA)), (2, "spec", One(POD_SPEC))];

const SELECTOR: Message = &[
    (1, "matchLabels", TextMap),
    (2, "matchExpressions", Many(&[(1, "key", Text), (2, "operator", Text), (3, "values", Texts)])),
];

const JOB_SPEC: Message = &[
    (1, "parallelism", Integer),
    (2, "completions", Integer),
    (3, "activeDeadlineSeconds", Integer),
    (4, "selector", One(SELECTOR)),
    (5, "manualSelector", Flag),
    (6, "template", One(TEMPLATE)),
    (7, "backoffLimit", Integer),
    (8, "ttlSecondsAfterFinished", Integer),
    (9, "completionMode", Text),
    (10, "suspend", Flag),
    (12, "backoffLimitPerIndex", Integer),
    (13, "maxFailedIndexes", Integer),
    (14, "podReplacementPolicy", Text),
    (15, "managedBy", Text),
];

const JOB: Message = &[(1, "metadata", One(METADATA)), (2, "spec", One(JOB_SPEC)), NO_STATUS];

const CRON_JOB: Message = &[
    (1, "metadata", One(METADATA)),
    (
        2,
        "spec",
        One(&[
            (1, "schedule", Text),
            (2, "startingDeadlineSeconds", Integer),
            (3, "concurrencyPolicy", Text),
            (4, "suspend", Flag),
            (5, "jobTemplate", One(&[(1, "metadata", One(METADATA)), (2, "spec", One(JOB_SPEC))])),
            (6, "successfulJobsHistoryLimit", Integer),
            (7, "failedJobsHistoryLimit", Integer),
            (8, "timeZone", Text),
        ]),
    ),
    NO_STATUS,
];

const DEPLOYMENT: Message = &[
    (1, "metadata", One(METADATA)),
    (
        2,
        "spec",
        One(&[
            (1, "replicas", Integer),
            (2, "selector", One(SELECTOR)),
            (3, "template", One(TEMPLATE)),
            (4, "strategy", One(&[(1, "type", Text)])),
            (5, "minReadySeconds", Count),
            (6, "revisionHistoryLimit", Integer),
            (7, "paused", Switch),
            (9, "progressDeadlineSeconds", Integer),
        ]),
    ),
    NO_STATUS,
];

/// A status that holds only zeros, as in everything that is being created.
const NO_STATUS: (u64, &str, Holds) = (3, "status", One(&[]));

const ACCESS_REVIEW: Message = &[
    (1, "metadata", Nothing),
    (
        2,
        "spec",
        One(&[
            (
                1,
                "resourceAttributes",
                One(&[
                    (1, "namespace", Text),
                    (2, "verb", Text),
                    (3, "group", Text),
                    (4, "version", Text),
                    (5, "resource", Text),
                    (6, "subresource", Text),
                    (7, "name", Text),
                ]),
            ),
            (2, "nonResourceAttributes", One(&[(1, "path", Text), (2, "verb", Text)])),
        ]),
    ),
    (3, "status", One(&[(1, "allowed", Switch)])),
];

const RULES_REVIEW: Message = &[
    (1, "metadata", Nothing),
    (2, "spec", One(&[(1, "namespace", Text)])),
    (3, "status", One(&[(3, "incomplete", Switch)])),
];

const SUBJECT_REVIEW: Message =
    &[(1, "metadata", Nothing), (2, "status", One(&[(1, "userInfo", One(&[]))]))];

const TOKEN_REQUEST: Message = &[
    (1, "metadata", Nothing),
    (
        2,
        "spec",
        One(&[
            (1, "audiences", Texts),
            (
                3,
                "boundObjectRef",
                One(&[
                    (1, "kind", Text),
                    (2, "apiVersion", Text),
                    (3, "name", Text),
                    (4, "uid", Text),
                ]),
            ),
            (4, "expirationSeconds", Integer),
        ]),
    ),
    (3, "status", One(&[(2, "expirationTimestamp", Time)])),
];

const DELETE_OPTIONS: Message = &[
    (1, "gracePeriodSeconds", Integer),
    (2, "preconditions", One(&[(1, "uid", Text), (2, "resourceVersion", Text)])),
    (3, "orphanDependents", Flag),
    (4, "propagationPolicy", Text),
    (5, "dryRun", Texts),
];

/// What a body of a kind holds, if the kind is one of these.
pub(super) fn of(api_version: &str, kind: &str) -> Option<Message> {
    Some(match (api_version, kind) {
        ("v1", "Namespace") => NAMESPACE,
        ("v1", "Secret") => SECRET,
        ("v1", "ConfigMap") => CONFIG_MAP,
        ("v1", "ServiceAccount") => SERVICE_ACCOUNT,
        ("v1", "Event") => EVENT,
        ("v1", "Pod") => POD,
        ("batch/v1", "Job") => JOB,
        ("batch/v1", "CronJob") => CRON_JOB,
        ("apps/v1", "Deployment") => DEPLOYMENT,
        ("coordination.k8s.io/v1", "Lease") => LEASE,
        ("rbac.authorization.k8s.io/v1", "Role" | "ClusterRole") => ROLE,
        ("rbac.authorization.k8s.io/v1", "RoleBinding" | "ClusterRoleBinding") => BINDING,
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview") => ACCESS_REVIEW,
        ("authorization.k8s.io/v1", "SelfSubjectRulesReview") => RULES_REVIEW,
        ("authentication.k8s.io/v1", "SelfSubjectReview") => SUBJECT_REVIEW,
        ("authentication.k8s.io/v1", "TokenRequest") => TOKEN_REQUEST,
        (_, "DeleteOptions") => DELETE_OPTIONS,
        _ => return None,
    })
}
