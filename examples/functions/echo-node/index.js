"use strict";
// What a function gets and gives, in JavaScript: `index.handler`, and `index.stream` for responses piece by piece.

/** Echoes the event; an object may ask for more: to fail, to exit, or to tell of the context. */
exports.handler = async (event, context) => {
  if (event?.raise !== undefined) throw new TypeError(event.raise);
  if (event?.exit !== undefined) process.exit(event.exit);
  if (event?.size !== undefined) return "x".repeat(event.size);
  if (event?.context !== undefined) {
    return {
      request_id: context.awsRequestId,
      arn: context.invokedFunctionArn,
      has_time: context.getRemainingTimeInMillis() > 0,
      custom: context.clientContext?.custom ?? null,
    };
  }
  return event;
};

/** Streams the event's `pieces`, and fails after them where it is told to `raise`. */
exports.stream = awslambda.streamifyResponse(async (event, stream) => {
  stream.setContentType("text/plain");
  for (const piece of event.pieces) stream.write(piece);
  if (event.raise !== undefined) throw new TypeError(event.raise);
  stream.end();
});
