// PassTimes.swift -- what a pass of so many tokens takes: what guessing costs.

/// Moving averages of the times of passes by their number of rows, in nanoseconds. Rows are tokens that come with their
/// logits.
struct PassTimes {
  /// By rows; 0 where nothing was measured. Passes of more rows are judged by these.
  private var averages = [Double](repeating: 0, count: 129)
  private var counts = [Int](repeating: 0, count: 129)

  /// Until wider passes were measured, a row more is taken to cost this part of a pass of one row.
  private static let assumedSlope = 0.2

  /// The most rows of a measured pass; 0: none was measured.
  private(set) var widest = 0

  mutating func record(rows: Int, nanoseconds: Int64) {
    guard averages.indices.contains(rows), rows > 0, nanoseconds > 0 else { return }
    let time = Double(nanoseconds)
    counts[rows] += 1
    widest = max(widest, rows)
    if averages[rows] == 0 {
      averages[rows] = time
    } else {
      // The machine may have had something else to do: one time counts at most twice the average.
      averages[rows] += (min(time, 2 * averages[rows]) - averages[rows]) / Double(min(counts[rows], 8))
    }
    // A pass of one row takes no longer: so its average does not stay from a slower time while only wider ones are made.
    // Others may take longer than wider ones, which suit the tiles of a product better.
    averages[1] = min(averages[1], averages[rows])
  }

  /// The expected time of a pass; 0 when nothing was measured.
  func estimate(rows: Int) -> Double {
    guard rows > 0 else { return 0 }
    if rows < averages.count, averages[rows] > 0 { return averages[rows] }
    let above = averages.indices.first { $0 > rows && averages[$0] > 0 }
    guard let below = averages.indices.last(where: { $0 < rows && averages[$0] > 0 }) else {
      return above.map { averages[$0] } ?? 0
    }
    let slope =
      if let above {
        (averages[above] - averages[below]) / Double(above - below)
      } else if let first = averages.firstIndex(where: { $0 > 0 }), first < below {
        (averages[below] - averages[first]) / Double(below - first)
      } else {
        averages[below] * Self.assumedSlope / Double(below)
      }
    return averages[below] + max(0, slope) * Double(rows - below)
  }
}
