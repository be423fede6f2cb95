#!/usr/bin/ruby
# A worker in Ruby: turns text to upper case. Debian: ruby-pg. docs/workers.md explains it.
require 'json'
require 'pg'
require 'socket'
require 'uri'

# Yours. params["seconds"] stands for its time. alive.call every few seconds keeps the lease, and is false when to stop.
def work(text, seconds, alive)
  raise 'There is no text.' if text.empty?

  seconds.times { sleep 1 if alive.call }
  text.upcase(:ascii)
end

def query(sql, *values) = DB.exec_params(sql, values).to_a

def connect_redis
  url = URI(ENV['AWAIT_REDIS'])
  redis = Socket.tcp(url.host, url.port, connect_timeout: 1)
  auth = ENV['REDISCLI_AUTH'] && "AUTH default #{ENV['REDISCLI_AUTH']}"
  redis.write "HELLO 3 #{auth}\r\nSUBSCRIBE await:queue:ruby\r\n" # after HELLO 3 it may PUBLISH as well
  redis
end

# For a message that there is work, or a second. Returns the connection to Redis, if there is one.
def wait_for_work(redis)
  return DB.wait_for_notify(1) && nil if ENV['AWAIT_REDIS'].to_s.empty?
  return connect_redis unless redis # a job may have come before: the caller claims again

  redis.readpartial(65_536) if redis.wait_readable(1)
  redis
rescue SystemCallError, IOError => error
  warn "Redis: #{error.message}"
  sleep 1
  nil
end

def publish(redis, *hint)
  words = ['PUBLISH', *hint].map { |word| "$#{word.bytesize}\r\n#{word}\r\n" }
  redis.write "*3\r\n#{words.join}"
rescue SystemCallError
  # the next wait connects again
end

DB = PG.connect # to PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD
DB.exec('LISTEN await_work') # without Redis: heard if the database has await.notify
stop = false
trap('TERM') { stop = true } # finishes its job, then ends
redis = ENV['AWAIT_REDIS'].to_s.empty? ? nil : wait_for_work(nil) # connects before the first job
until stop
  job = query("SELECT * FROM await.claim(ARRAY['ruby'], 'ruby', 1, inline => 64 << 20)").first
  next redis = wait_for_work(redis) unless job

  id, receipt = job.values_at('id', 'receipt')
  alive = -> { query('SELECT await.heartbeat($1, $2) AS said', id, receipt).first['said'] == 'ok' }
  begin
    seconds = JSON.parse(job['params'] || '{}')['seconds'].to_i
    result = work(PG::Connection.unescape_bytea(job['payload']), seconds, alive)
    ended = ["SELECT await.complete($1, $2, $3, 'text/plain') AS ours", id, receipt, { value: result, format: 1 }]
  rescue StandardError => error
    problem = { title: 'The work failed', detail: error.message.scrub }
    ended = ['SELECT await.fail($1, $2, $3) AS ours', id, receipt, problem.to_json]
  end
  warn "#{id}: cancelled, or no longer ours" unless query(*ended).first['ours'] == 't' # nothing was changed
  query('SELECT channel, message FROM await.hint($1)', id).each { |hint| publish(redis, *hint.values) } if redis
end
