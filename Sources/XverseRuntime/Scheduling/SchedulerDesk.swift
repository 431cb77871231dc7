// SchedulerDesk.swift -- where the threads of the host and that of a scheduler meet: what comes in, what is cancelled, what is
// counted.

import XverseCore

/// Where the threads of the host and that of the scheduler meet.
final class SchedulerDesk: @unchecked Sendable {
  private let monitor = Monitor()
  /// Used by the scheduler's thread only.
  private let schedule: Schedule
  private let events: AnswerEvents
  // The rest is guarded by `monitor`.
  private var incoming: [ScheduledAnswer] = []
  /// A draft model to take from now on, or none.
  private var incomingDraft: DraftModel??
  private var live: [UInt64: ScheduledAnswer] = [:]
  private var nextID: UInt64 = 1
  private var isStopping = false
  private var passing: [ScheduledAnswer] = []
  private var passCancellation = Cancellation()
  private var published = Scheduler.Statistics()

  init(_ schedule: Schedule, _ events: AnswerEvents) {
    self.schedule = schedule
    self.events = events
  }

  // MARK: other threads

  /// Returns the first of `count` numbers that no answer has had.
  func numbers(_ count: Int) throws(XverseError) -> UInt64 {
    try monitor.locked { () throws(XverseError) in
      if isStopping { throw .misuse("the scheduler was freed") }
      defer { nextID += UInt64(count) }
      return nextID
    }
  }

  func add(_ answers: [ScheduledAnswer]) {
    monitor.locked {
      incoming += answers
      for answer in answers { live[answer.id] = answer }
      monitor.signal()
    }
  }

  func setDraft(_ draft: DraftModel?) {
    monitor.locked {
      incomingDraft = .some(draft)
      monitor.signal()
    }
  }

  func cancel(_ id: UInt64) throws(XverseError) {
    try monitor.locked { () throws(XverseError) in
      guard id > 0, id < nextID else { throw .invalid("id is \(id), which xverse_scheduler_submit never returned") }
      live[id]?.cancel()
      if passing.allSatisfy(\.isCancelled) { passCancellation.trigger() }
      monitor.signal()
    }
  }

  func stop() {
    monitor.locked {
      isStopping = true
      passCancellation.trigger()
      monitor.signal()
    }
  }

  var statistics: Scheduler.Statistics {
    monitor.locked {
      var statistics = published
      statistics.waiting = max(0, live.count - statistics.running)
      return statistics
    }
  }

  // MARK: the scheduler's thread

  func work() {
    schedule.onPass = { [unowned self] answers in
      monitor.locked {
        passing = answers
        if !isStopping && !answers.allSatisfy(\.isCancelled) { passCancellation.reset(deadlineAfter: 0) }
      }
    }
    while let (answers, draft) = takeIncoming() {
      if let draft { schedule.setDraft(draft) }
      for answer in answers { schedule.add(answer) }
      let begin = MonotonicClock.now
      schedule.step(passCancellation)
      publish(MonotonicClock.now - begin)
    }
  }

  /// Waits until there is something to do; nil when nothing is to be done any more.
  private func takeIncoming() -> (answers: [ScheduledAnswer], draft: DraftModel??)? {
    monitor.locked {
      while incoming.isEmpty && incomingDraft == nil && schedule.isEmpty && !isStopping { monitor.wait() }
      guard !isStopping, !ProcessEnd.hasBegun else { return nil }
      defer { (incoming, incomingDraft) = ([], nil) }
      return (incoming, incomingDraft)
    }
  }

  private func publish(_ time: Int64) {
    let finished = schedule.takeFinished()
    // Whoever reads the end of an answer finds it counted.
    defer { for answer in finished { answer.tellEnd(events) } }
    monitor.locked {
      passing = []
      for answer in finished {
        live[answer.id] = nil
        if let time = answer.firstTokenTime {
          published.firstTokens += 1
          published.firstTokenTime += time
          published.longestFirstTokenTime = max(published.longestFirstTokenTime, time)
        }
      }
      let counts = schedule.counts
      published.running = schedule.running.count
      published.finished = counts.finished
      published.preemptions = counts.preemptions
      published.passes = counts.passes
      published.promptTokens = counts.promptTokens
      published.cachedTokens = counts.cachedTokens
      published.generatedTokens = counts.generatedTokens
      published.draftTokens = counts.draftTokens
      published.acceptedDraftTokens = counts.acceptedDraftTokens
      published.busyTime += time
    }
  }
}
