// SchedulerFunctions.swift -- section 11 of xverse.h.

import CXverse
import XverseCore
import XverseOpenAI
import XverseRuntime

/// Any thread may use it at any time.
final class SchedulerHandle: Sendable {
  let scheduler: Scheduler
  let model: ModelHandle
  /// The requests of OpenAI's interface that have not ended, by the numbers of their answers.
  private let completions = Guarded<[UInt64: Completion]>([:])

  private struct Completion: @unchecked Sendable {
    let completion: ScheduledCompletion
    /// The number of the first answer, which is that of the request.
    let id: UInt64
  }

  init(_ scheduler: Scheduler, model: ModelHandle) {
    self.scheduler = scheduler
    self.model = model
  }

  /// Takes a request of OpenAI's interface; returns its number.
  func submit(_ request: CompletionRequest) throws(XverseError) -> UInt64 {
    let allocator = model.runtime.allocator
    let generation = try request.generationRequest(for: model.model, allocator: allocator)
    let prompt = try generation.prompt(context: scheduler.context)
    var options = generation.options
    options.count = request.answerCount
    let completion = ScheduledCompletion(
      request, model.model, fingerprint: completionFingerprint, allocator: allocator)
    // Nobody sees an event of the answers before they are known here.
    return try completions.withLock { (known) throws(XverseError) in
      let id = try scheduler.submit(prompt.elements, options, continuesText: generation.continuesText)
      for answer in id..<id + UInt64(request.answerCount) { known[answer] = Completion(completion: completion, id: id) }
      return id
    }
  }

  /// What a host gets next; nil when nothing happened in time.
  ///
  /// - Parameter timeout: Milliseconds; negative: as long as it takes.
  func next(timeout: Int) throws(XverseError) -> ToldEvent? {
    let deadline = timeout < 0 ? .max : MonotonicClock.time(after: Int64(timeout))
    while true {
      if let told = try take() { return told }
      guard try scheduler.waitForEvent(until: deadline) else { return nil }
    }
  }

  /// Takes events until there is something to tell of; nil when there are no more.
  private func take() throws(XverseError) -> ToldEvent? {
    // One thread at a time, so that the chunks of a stream come in their order.
    try completions.withLock { (known) throws(XverseError) in
      while let event = try scheduler.takeEvent() {
        guard let found = known[event.id] else { return ToldEvent(event, scheduler) }
        if event.end != nil { known[event.id] = nil }
        if let told = found.completion.take(event, answer: Int(event.id - found.id), id: found.id) {
          return ToldEvent(told, scheduler, isJSON: true)
        }
      }
      return nil
    }
  }

  /// Ends an answer, or all answers of a request of OpenAI's interface.
  func cancel(_ id: UInt64) throws(XverseError) {
    let answers = completions.withLock { known in known.keys.filter { known[$0]?.id == id } }
    for answer in answers.isEmpty ? [id] : answers { try scheduler.cancel(answer) }
  }
}

@_cdecl("xverse_scheduler_create")
public func xverse_scheduler_create(
  _ model: OpaquePointer?, _ options: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> xverse_status {
  creating(out) { () throws(XverseError) in
    let model = try borrow(model, as: ModelHandle.self, "model")
    let scheduler = try Scheduler(model.model, model.runtime, optionValues(options), prefixes: model.prefixes)
    return SchedulerHandle(scheduler, model: model)
  }
}

@_cdecl("xverse_scheduler_free")
public func xverse_scheduler_free(_ scheduler: OpaquePointer?) {
  if scheduler != nil {
    // Threads that wait for an event leave first.
    _ = reportingErrors { () throws(XverseError) in
      let handle = try borrow(scheduler, as: SchedulerHandle.self, "scheduler")
      handle.scheduler.close()
      let thread = ThreadState.current
      if thread.schedulerEvent?.scheduler === handle.scheduler { thread.schedulerEvent = nil }
    }
  }
  releaseHandle(scheduler)
}

@_cdecl("xverse_scheduler_set_draft")
public func xverse_scheduler_set_draft(
  _ scheduler: OpaquePointer?, _ draft: OpaquePointer?, _ options: OpaquePointer?
) -> xverse_status {
  reportingErrors { () throws(XverseError) in
    let scheduler = try borrow(scheduler, as: SchedulerHandle.self, "scheduler").scheduler
    try scheduler.setDraft(
      draftModel(draft, options, for: scheduler.model, scheduler.runtime, of: "scheduler"))
  }
}

@_cdecl("xverse_scheduler_submit")
public func xverse_scheduler_submit(
  _ scheduler: OpaquePointer?, _ request: OpaquePointer?, _ id: UnsafeMutablePointer<UInt64>?
) -> xverse_status {
  id?.pointee = 0
  return reportingErrors { () throws(XverseError) in
    let handle = try borrow(scheduler, as: SchedulerHandle.self, "scheduler")
    let request = try borrow(request, as: RequestHandle.self, "request")
    let id = try required(id, "id")
    guard request.request.model === handle.scheduler.model else {
      throw XverseError(.mismatch, "scheduler and request were made from different models")
    }
    let (prompt, options) = try request.promptAndOptions(context: handle.scheduler.context)
    id.pointee = try handle.scheduler.submit(
      prompt.tokens.elements, options, continuesText: prompt.continuesText)
  }
}

@_cdecl("xverse_scheduler_submit_json")
public func xverse_scheduler_submit_json(
  _ scheduler: OpaquePointer?, _ json: UnsafePointer<CChar>?, _ len: Int, _ id: UnsafeMutablePointer<UInt64>?,
  _ error: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ errorLen: UnsafeMutablePointer<Int>?
) -> xverse_status {
  id?.pointee = 0
  error?.pointee = nil
  errorLen?.pointee = 0
  return reportingErrors { () throws(XverseError) in
    do throws(XverseError) {
      let handle = try borrow(scheduler, as: SchedulerHandle.self, "scheduler")
      let id = try required(id, "id")
      let json = try text(json, len, "json")
      id.pointee = try handle.submit(CompletionRequest(json, allocator: handle.model.runtime.allocator))
    } catch let fault {
      if let error { deliverCompletionError(fault, to: error, length: errorLen) }
      throw fault
    }
  }
}

@_cdecl("xverse_scheduler_cancel")
public func xverse_scheduler_cancel(_ scheduler: OpaquePointer?, _ id: UInt64) -> xverse_status {
  reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    try borrow(scheduler, as: SchedulerHandle.self, "scheduler").cancel(id)
  }
}

@_cdecl("xverse_scheduler_next")
public func xverse_scheduler_next(
  _ scheduler: OpaquePointer?, _ timeout: Int32, _ event: UnsafeMutablePointer<UnsafePointer<xverse_event>?>?
) -> xverse_status {
  event?.pointee = nil
  var isLate = false
  let status = reportingErrors { () throws(XverseError) in
    let handle = try borrow(scheduler, as: SchedulerHandle.self, "scheduler")
    let out = try required(event, "event")
    let thread = ThreadState.current
    thread.schedulerEvent = nil
    // Another thread may free the scheduler while this one waits.
    defer { withExtendedLifetime(handle) {} }
    guard let told = try handle.next(timeout: Int(timeout)) else {
      isLate = true
      return
    }
    thread.schedulerEvent = told
    out.pointee = told.pointer
  }
  return status == 0 && isLate ? xverse_status(XVERSE_TIMEOUT) : status
}

@_cdecl("xverse_scheduler_fd")
public func xverse_scheduler_fd(_ scheduler: OpaquePointer?) -> Int32 {
  var result: Int32 = -1
  _ = reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    result = try borrow(scheduler, as: SchedulerHandle.self, "scheduler").scheduler.descriptor
  }
  return result
}

@_cdecl("xverse_scheduler_stats")
public func xverse_scheduler_stats(
  _ scheduler: OpaquePointer?, _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
  _ len: UnsafeMutablePointer<Int>?
) -> xverse_status {
  json?.pointee = nil
  return reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    let handle = try borrow(scheduler, as: SchedulerHandle.self, "scheduler")
    let json = try required(json, "json")
    try deliver(handle.scheduler.statisticsJSON, to: json, length: len)
  }
}

/// An event as the host sees it, with everything that it points to.
final class ToldEvent {
  let pointer: UnsafePointer<xverse_event>
  /// Where it came from.
  private(set) weak var scheduler: Scheduler?
  private let event: SchedulerEvent
  private let told: UnsafeMutablePointer<xverse_event>
  private let stats: UnsafeMutablePointer<xverse_stats>
  private let message: CString?

  /// - Parameter isJSON: Whether the text is OpenAI's JSON.
  init(_ event: SchedulerEvent, _ scheduler: Scheduler, isJSON: Bool = false) {
    self.event = event
    self.scheduler = scheduler
    message = event.end?.error.flatMap { try? CString($0.message) }
    told = .allocate(capacity: 1)
    stats = .allocate(capacity: 1)
    pointer = UnsafePointer(told)
    told.initialize(to: xverse_event())
    stats.initialize(to: xverse_stats())
    told.pointee.size = UInt32(MemoryLayout<xverse_event>.size)
    told.pointee.kind = Int32(
      event.end != nil ? XVERSE_EVENT_FINISHED : isJSON ? XVERSE_EVENT_JSON : XVERSE_EVENT_TOKENS)
    told.pointee.request_id = event.id
    told.pointee.text =
      event.text.elements.baseAddress.map { UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self) } ?? cString("")
    told.pointee.text_len = event.textLength
    told.pointee.tokens = event.tokens.elements.baseAddress
    told.pointee.logprobs = event.logprobs.isEmpty ? nil : event.logprobs.elements.baseAddress
    told.pointee.n_tokens = event.tokens.count
    guard let end = event.end else { return }
    told.pointee.n_prompt_total = Int64(end.statistics.promptTokens)
    told.pointee.n_prompt_done = told.pointee.n_prompt_total
    told.pointee.finish_reason = end.reason.rawValue
    told.pointee.status = end.error?.code.rawValue ?? 0
    stats.pointee = xverse_stats(
      end.statistics, kvBytes: scheduler.runtime.kvBlocks.byteCount, scratchBytes: scheduler.runtime.scratchBytes)
    stats.pointee.size = UInt32(MemoryLayout<xverse_stats>.size)
    told.pointee.stats = UnsafePointer(stats)
    told.pointee.message = message?.pointer
  }

  deinit {
    told.deallocate()
    stats.deallocate()
  }
}
