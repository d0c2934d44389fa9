-- The ledger's writes. Each call is one atomic step: guard, number, store, trim, publish.
--
-- Keys of one topic share a hash tag, so that a cluster keeps them together:
--   KEYS[1] state    hash: sequence, epoch, payload, and for jobs status, attempt, progress, started,
--                    lost, cancel; also what was given as meta (ownerId, brandId, …)
--   KEYS[2] history  list: the newest events, each "event name, space, JSON"; sequences are contiguous
--   KEYS[3] inbox    hash: notification id -> JSON            (user topics)
--   KEYS[4] order    zset: notification id scored by sequence (user topics)
--   KEYS[5] unread   set:  notification ids                   (user topics)
-- The leases of all jobs are one zset, room scored by deadline in milliseconds; touch and overdue
-- get it as KEYS[1], and append as KEYS[6] where it is to give a lease.
--
-- PUBLISH, in front of this text, is the command for events: PUBLISH, or SPUBLISH for sharded channels.
--
-- ARGV[1] is the verb:
--   append   channel, envelope head, event, body, new epoch, history limit, ttl, terminal ttl,
--            mergeable (1/0), status, attempt, retries, progress, expected statuses, expected
--            sequence, inbox id, lost (1/0), lease in ms (0 for none), then meta as field, value, …
--            An empty attempt means the stored one; "begin" starts the next one.
--            Expected statuses: "*" any, else a comma list in which "none" is a job not yet known.
--   read     channel, envelope head, event, new epoch, history limit, ttl, then ids, or "*" for all
--   clear    channel, envelope head, event, new epoch, history limit, ttl
--   advance  epoch, sequence, new epoch; returns the epoch that is in force, empty for an unknown topic
--   touch    period in ms, then rooms
--   overdue  limit
--   prove    channel, message; writes KEYS[1], which nobody reads, and publishes the message
-- append, read and clear return {outcome, sequence, epoch, attempt, cancel, unread};
-- outcome is stored, duplicate, terminal, lost, stale or conflict.

local TERMINAL = { published = true, completed = true, failed = true, cancelled = true }

local function milliseconds()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function position(new_epoch)
  local found = redis.call('HMGET', KEYS[1], 'sequence', 'epoch')
  return (tonumber(found[1]) or 0), (found[2] or new_epoch)
end

-- A job uses the first two keys only.
local function expire(ttl, keys)
  for i = 1, keys do redis.call('EXPIRE', KEYS[i], ttl) end
end

-- The event that follows this position, kept and published; the state is left to the caller.
-- body continues the JSON object after the fields written here: it starts with "," or is "}".
local function tell(to, sequence, epoch, fields, body, merge)
  local payload = '{"sequence":' .. string.format('%d', sequence) .. ',"epoch":"' .. epoch .. '"' .. fields .. body
  if redis.call('RPUSH', KEYS[2], to.event .. ' ' .. payload) > to.history then
    redis.call('LTRIM', KEYS[2], -to.history, -1)
  end
  local message = to.head .. merge .. ',"data":[' .. payload .. ']}'
  local sent = redis.pcall(PUBLISH, to.channel, message)
  if type(sent) == 'table' and sent.err then -- a channel that access rules forbid: what was written goes back
    redis.call('RPOP', KEYS[2])
    redis.call(PUBLISH, to.channel, message)
  end
  return payload
end

local function publish(to, body)
  local sequence, epoch = position(to.new_epoch)
  local payload = tell(to, sequence + 1, epoch, '', body, 'false')
  redis.call('HSET', KEYS[1], 'sequence', sequence + 1, 'epoch', epoch)
  return sequence + 1, epoch, payload
end

local function trim_inbox(limit)
  local extra = redis.call('ZCARD', KEYS[4]) - limit
  if extra <= 0 then return end
  for _, id in ipairs(redis.call('ZRANGE', KEYS[4], 0, extra - 1)) do
    redis.call('HDEL', KEYS[3], id)
    redis.call('SREM', KEYS[5], id)
    redis.call('ZREM', KEYS[4], id)
  end
end

local function expected(statuses, status)
  if statuses == '*' then return true end
  return string.find(',' .. statuses .. ',', ',' .. (status or 'none') .. ',', 1, true) ~= nil
end

local function attempt_of(asked, retries, job)
  if asked ~= 'begin' then return tonumber(asked) or job.attempt or 1 end
  local wanted = math.max(retries + 1, job.attempt or 1, job.started + 1)
  if TERMINAL[job.status] and wanted <= job.attempt then wanted = job.attempt + 1 end
  return wanted
end

local function read_job()
  local f = redis.call('HMGET', KEYS[1], 'status', 'attempt', 'progress', 'started', 'lost', 'cancel', 'sequence', 'epoch')
  return { status = f[1] or nil, attempt = tonumber(f[2]), progress = f[3] or nil, started = tonumber(f[4]) or 0,
           lost = f[5], cancel = tonumber(f[6]) or 0, sequence = tonumber(f[7]) or 0, epoch = f[8] or nil }
end

local function refusal(job, attempt, a)
  if a.expected_sequence ~= '' and tonumber(a.expected_sequence) ~= job.sequence then return 'conflict' end
  if not expected(a.expected, job.status) then return 'conflict' end
  -- A job that somebody cancelled while it waited stays so, even if its message is delivered after all. One
  -- that was revoked, expired or ended itself may begin again under its id: that is new work.
  if a.attempt == 'begin' and job.cancel == 1 and job.status == 'cancelled' and a.retries < job.attempt then
    return 'terminal'
  end
  if not job.attempt or attempt > job.attempt then return nil end
  if attempt < job.attempt then return 'stale' end
  if TERMINAL[job.status] then return job.lost == '1' and 'lost' or 'terminal' end
end

local function append_job(a, to)
  local job = read_job()
  local attempt = attempt_of(a.attempt, a.retries, job)
  local refused = refusal(job, attempt, a)
  if refused then
    -- A worker says that it has thrown the message away: nothing is left to be cancelled.
    if refused == 'terminal' and a.status == 'cancelled' and job.status == 'cancelled' then
      redis.call('HDEL', KEYS[1], 'cancel')
    end
    return { refused, job.sequence, job.epoch or '', job.attempt or 0, job.cancel, 0 }
  end

  local same = job.attempt == attempt
  local progress = a.progress
  if same and job.progress and (progress == '' or tonumber(progress) < tonumber(job.progress)) then
    progress = job.progress
  end
  local fields = ',"attempt":' .. string.format('%d', attempt)
  if progress ~= '' then fields = fields .. ',"progress":' .. progress end
  local merge = (a.mergeable and same and job.status == a.status) and 'true' or 'false'
  local sequence, epoch = job.sequence + 1, job.epoch or to.new_epoch
  local payload = tell(to, sequence, epoch, fields, a.body, merge)

  if not same then
    redis.call('HDEL', KEYS[1], 'progress')
    if TERMINAL[job.status] then
      redis.call('HDEL', KEYS[1], 'cancel')
      job.cancel = 0
    end
  end
  local state = { 'sequence', sequence, 'epoch', epoch, 'payload', payload, 'status', a.status, 'attempt', attempt,
                  'lost', a.lost }
  local function set(field, value)
    state[#state + 1] = field
    state[#state + 1] = value
  end
  if progress ~= '' then set('progress', progress) end
  if a.status == 'in_progress' and attempt > job.started then set('started', attempt) end
  for field, value in pairs(a.meta) do set(field, value) end
  redis.call('HSET', KEYS[1], unpack(state))
  if a.status == 'cancelled' and job.status == 'in_progress' then redis.call('HDEL', KEYS[1], 'cancel') end
  expire(TERMINAL[a.status] and a.terminal_ttl or a.ttl, 2)
  if a.lease > 0 then redis.call('ZADD', KEYS[6], milliseconds() + a.lease, string.match(KEYS[1], '{(.-)}')) end
  return { 'stored', sequence, epoch, attempt, job.cancel, 0 }
end

local function append_event(a, to)
  if a.inbox_id ~= '' and redis.call('HEXISTS', KEYS[3], a.inbox_id) == 1 then
    local sequence, epoch = position(to.new_epoch)
    return { 'duplicate', sequence, epoch, 0, 0, redis.call('SCARD', KEYS[5]) }
  end
  local sequence, epoch, payload = publish(to, a.body)
  if a.inbox_id ~= '' then
    redis.call('HSET', KEYS[3], a.inbox_id, payload)
    redis.call('ZADD', KEYS[4], sequence, a.inbox_id)
    redis.call('SADD', KEYS[5], a.inbox_id)
    trim_inbox(to.history)
  end
  expire(a.ttl, #KEYS)
  return { 'stored', sequence, epoch, 0, 0, redis.call('SCARD', KEYS[5]) }
end

local function append()
  local to = { channel = ARGV[2], head = ARGV[3], event = ARGV[4], new_epoch = ARGV[6], history = tonumber(ARGV[7]) }
  local a = { body = ARGV[5], ttl = ARGV[8], terminal_ttl = ARGV[9], mergeable = ARGV[10] == '1', status = ARGV[11],
              attempt = ARGV[12], retries = tonumber(ARGV[13]), progress = ARGV[14], expected = ARGV[15],
              expected_sequence = ARGV[16], inbox_id = ARGV[17], lost = ARGV[18], lease = tonumber(ARGV[19]), meta = {} }
  for i = 20, #ARGV, 2 do a.meta[ARGV[i]] = ARGV[i + 1] end
  if a.status ~= '' then return append_job(a, to) end
  return append_event(a, to)
end

local function inbox_destination()
  return { channel = ARGV[2], head = ARGV[3], event = ARGV[4], new_epoch = ARGV[5], history = tonumber(ARGV[6]) }
end

local function read()
  local wanted = {}
  if ARGV[8] == '*' then
    wanted = redis.call('SMEMBERS', KEYS[5])
    table.sort(wanted)
  else
    for i = 8, #ARGV do wanted[#wanted + 1] = ARGV[i] end
  end
  local changed = {}
  for _, id in ipairs(wanted) do
    if redis.call('SREM', KEYS[5], id) == 1 then changed[#changed + 1] = id end
  end
  local unread = redis.call('SCARD', KEYS[5])
  local to = inbox_destination()
  local sequence, epoch = position(to.new_epoch)
  if #changed == 0 then return { 'duplicate', sequence, epoch, 0, 0, unread } end
  local body = ',"ids":["' .. table.concat(changed, '","') .. '"],"unreadCount":' .. string.format('%d', unread) .. '}'
  sequence, epoch = publish(to, body)
  expire(ARGV[7], #KEYS)
  return { 'stored', sequence, epoch, 0, 0, unread }
end

local function clear()
  local to = inbox_destination()
  local sequence, epoch = position(to.new_epoch)
  if redis.call('DEL', KEYS[3], KEYS[4], KEYS[5]) == 0 then return { 'duplicate', sequence, epoch, 0, 0, 0 } end
  sequence, epoch = publish(to, '}')
  expire(ARGV[7], #KEYS)
  return { 'stored', sequence, epoch, 0, 0, 0 }
end

-- The store came back older than what was seen of the topic under this epoch. What it holds goes on under
-- a new one: under the old one it would be taken for what is known already.
local function advance()
  local epoch, new_epoch = ARGV[2], ARGV[4]
  local sequence, current = position('')
  if current ~= epoch or sequence >= tonumber(ARGV[3]) then return current end
  local old = ',"epoch":"' .. epoch .. '"'
  local function renamed(text) -- the first place is ours: it was written before anything of the caller's
    local from, to = string.find(text, old, 1, true)
    return from and string.sub(text, 1, from - 1) .. ',"epoch":"' .. new_epoch .. '"' .. string.sub(text, to + 1)
      or text
  end
  for i, line in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do redis.call('LSET', KEYS[2], i - 1, renamed(line)) end
  for _, id in ipairs(redis.call('HKEYS', KEYS[3])) do
    redis.call('HSET', KEYS[3], id, renamed(redis.call('HGET', KEYS[3], id)))
  end
  local payload = redis.call('HGET', KEYS[1], 'payload')
  if payload then redis.call('HSET', KEYS[1], 'payload', renamed(payload)) end
  redis.call('HSET', KEYS[1], 'epoch', new_epoch)
  return new_epoch
end

local function touch()
  local deadline = milliseconds() + tonumber(ARGV[2])
  for i = 3, #ARGV do redis.call('ZADD', KEYS[1], deadline, ARGV[i]) end
  return deadline
end

-- Writes nothing, but fails where a write would: a full or read-only store takes no renewals either, and
-- that must not be held against the workers.
local function overdue()
  redis.call('ZADD', KEYS[1], 'XX', 0, '')
  local moment = milliseconds()
  local late = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', moment, 'WITHSCORES', 'LIMIT', 0, tonumber(ARGV[2]))
  local found = {}
  for i = 1, #late, 2 do found[#found + 1] = { late[i], moment - tonumber(late[i + 1]) } end
  return found
end

local function prove()
  redis.call('SET', KEYS[1], '1', 'EX', 60)
  redis.call(PUBLISH, ARGV[2], ARGV[3])
end

local VERBS = {
  append = append, read = read, clear = clear, advance = advance, touch = touch, overdue = overdue, prove = prove,
}
return VERBS[ARGV[1]]()
