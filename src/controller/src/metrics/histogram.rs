//! How are counts that we keep ourselves told to Prometheus?

use prometheus::proto::{Bucket, Histogram, LabelPair, Metric};

/// A histogram of what was counted within each bound and, last, beyond them all. None of nothing.
pub(super) fn histogram(
    labels: Vec<LabelPair>,
    bounds: &[f64],
    within: impl Iterator<Item = u64>,
    sum: f64,
) -> Option<Metric> {
    let (mut count, mut buckets) = (0_u64, Vec::with_capacity(bounds.len()));
    for (at, within) in within.enumerate() {
        count = count.saturating_add(within);
        let Some(bound) = bounds.get(at) else { continue };
        let mut bucket = Bucket::default();
        bucket.set_cumulative_count(count);
        bucket.set_upper_bound(*bound);
        buckets.push(bucket);
    }
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets);
    histogram.set_sample_count(count);
    histogram.set_sample_sum(sum);
    let mut metric = Metric::default();
    metric.set_label(labels);
    metric.set_histogram(histogram);
    (count > 0).then_some(metric)
}
