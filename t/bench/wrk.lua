-- SPDX-License-Identifier: Apache-2.0
-- Sends the requests of a file, which a NUL ends each, in turns; prints what came of it as one line of JSON.
-- errors: answers of 400 and above, and what failed otherwise; closed: connections that the server closed.
local requests, at = {}, 0

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    for request in file:read("*a"):gmatch("%Z+") do
        requests[#requests + 1] = request
    end
    file:close()
end

function request()
    at = at % #requests + 1
    return requests[at]
end

function done(summary, latency)
    local e = summary.errors
    io.write(string.format(
        'RESULT {"requests":%d,"seconds":%.6f,"p50":%.3f,"p99":%.3f,"errors":%d,"closed":%d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
        e.connect + e.write + e.status + e.timeout, e.read))
end
