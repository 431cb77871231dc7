// Suggestion.swift -- the known word that a mistyped one was probably meant to be.

enum Suggestion {
  /// The candidate with the smallest edit distance to `word`, unless even that one differs in more than a third of it.
  static func nearest(to word: String, among candidates: [String]) -> String? {
    // A word longer than every candidate by this much cannot be near one; it also bounds the work.
    let longest = candidates.map(\.count).max() ?? 0
    guard word.count <= 2 * longest else { return nil }
    let ranked = candidates.map { (candidate: $0, distance: distance(word, $0)) }
    guard let best = ranked.min(by: { $0.distance < $1.distance }) else { return nil }
    return best.distance <= max(2, best.candidate.count / 3) ? best.candidate : nil
  }

  /// Levenshtein distance: the fewest insertions, deletions and replacements of a character that turn `a` into `b`.
  private static func distance(_ a: String, _ b: String) -> Int {
    let b = Array(b)
    var previous = Array(0...b.count)
    for (i, left) in a.enumerated() {
      var current = [i + 1]
      for (j, right) in b.enumerated() {
        current.append(min(previous[j + 1] + 1, current[j] + 1, previous[j] + (left == right ? 0 : 1)))
      }
      previous = current
    }
    return previous[b.count]
  }
}
