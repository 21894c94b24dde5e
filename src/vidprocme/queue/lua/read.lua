-- Several readings at one moment. (MULTI would do, but a server that is full refuses it.) Changes nothing.
-- ARGV: per reading: how many words, the command, its key without the prefix, its other words.
-- Reply: what each command replied.
local READERS = {HGETALL = true, HGET = true, HEXISTS = true, LRANGE = true, LPOS = true, ZRANGE = true, ZSCORE = true,
  SISMEMBER = true, EXISTS = true}
local replies, at = {}, 1
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  local words = {unpack(ARGV, at + 1, at + count)}
  if not READERS[words[1]] then error('not a reading: ' .. words[1]) end
  words[2] = P .. words[2]
  replies[#replies + 1] = call(unpack(words))
  at = at + 1 + count
end
return replies
